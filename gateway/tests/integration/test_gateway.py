"""The gateway as an enterprise application meets it."""

import asyncio
import hashlib
import json

import aiohttp
import pytest
from prometheus_client import generate_latest

QUERY = "{ assets { id name items { id } } }"
SUBSCRIPTION = "subscription { itemChanged { id asset { name } } }"
EVENT = {"itemChanged": {"id": "w7", "asset": {"__typename": "Asset", "id": "7"}}}
ANSWER = {"itemChanged": {"id": "w7", "asset": {"name": "pump 7"}}}


async def message(ws):
    while (received := await ws.receive_json(timeout=15))["type"] == "ping":
        await ws.send_json({"type": "pong"})
    return received


def metric(name):
    """Return a sample of this process's metrics; 0 where there is none."""
    lines = generate_latest().decode().splitlines()
    return next((float(x.rsplit(" ", 1)[1]) for x in lines if x.rsplit(" ", 1)[0] == name), 0.0)


async def test_an_answer_says_of_each_subgraph_how_it_went(front):
    gateway = await front()
    name = 'twinmesh_gateway_subgraph_requests_total{status="OK",subgraph="work"}'
    before = metric(name)
    status, body, headers = await gateway.ask(QUERY, headers={"X-Twinmesh-Explain": "plan"})
    assert status == 200
    assert body["data"]["assets"][2] == {"id": "2", "name": "pump 2", "items": [{"id": "w1"}]}
    said = body["extensions"]["twinmesh"]
    assert set(said["subgraphs"]) == {"assets", "work"}
    for report in said["subgraphs"].values():
        assert report["status"] == "OK"
        assert 0 <= report["ms"] <= report["deadlineMs"] == 3_000
    assert said["now"] == said["asOf"]
    assert said["trust"] is None
    assert said["plan"]["node"]["kind"] == "Sequence"
    assert said["cost"] == {"field": 1 + 3, "type": 1 + 3 * (1 + 10)}
    assert len(said["traceId"]) == 32
    assert headers["tm-trace-id"] == said["traceId"]
    assert metric(name) == before + 1
    _, body, _ = await gateway.ask(QUERY)
    assert "plan" not in body["extensions"]["twinmesh"]


async def test_spans_lead_from_the_request_to_each_subgraph(front, tmp_path):
    gateway = await front(trace_dir=str(tmp_path), entity_ttl_s='{"Asset": 60}')
    seen = {}
    for name, subgraph in gateway.subgraphs.items():

        async def note(request, name=name, handle=subgraph._handle):
            seen[name] = request.headers["traceparent"]
            return await handle(request)

        subgraph._handle = note
    _, body, _ = await gateway.ask("query AllAssets { assets { id items { id } } }")
    trace_id = body["extensions"]["twinmesh"]["traceId"]

    def spans():
        lines = [x for file in tmp_path.glob("*.jsonl") for x in file.read_text().splitlines()]
        found = [json.loads(line) for line in lines]
        return {s["name"]: s for s in found if s["trace_id"] == trace_id}

    async def complete():
        return {"POST /graphql", "graphql query AllAssets"} <= spans().keys()

    await until(complete, True)
    found = spans()
    operation, request = found["graphql query AllAssets"], found["POST /graphql"]
    assert operation["parent_id"] == request["span_id"]
    assert operation["attributes"]["twin.tenant"] == "acme"
    assert operation["attributes"]["twin.type_cost"] > 0
    for name in ("assets", "work"):
        span = found[f"subgraph {name}"]
        assert span["parent_id"] == operation["span_id"]
        assert seen[name].split("-")[1:3] == [trace_id, span["span_id"]]
    name = 'twinmesh_gateway_operation_seconds_count{kind="query",operation="AllAssets"}'
    assert metric(name) >= 1


async def test_a_subgraph_that_hangs_costs_its_own_fields_and_its_deadline(front):
    gateway = await front(subgraph_timeout_s=0.3)
    gateway.subgraphs["work"].answers.delay = asyncio.Event().wait
    status, body, _ = await gateway.ask(QUERY)
    assert status == 200
    assert body["data"]["assets"][1] == {"id": "1", "name": "pump 1", "items": None}
    report = body["extensions"]["twinmesh"]["subgraphs"]["work"]
    assert (report["status"], report["deadlineMs"], report["code"]) == ("TIMEOUT", 300, "TIMEOUT")
    assert report["ms"] >= 250


async def test_what_needs_a_subgraph_that_failed_is_skipped_and_says_so(front):
    gateway = await front(subgraph_timeout_s=0.3)
    gateway.subgraphs["assets"].answers.delay = asyncio.Event().wait
    _, body, _ = await gateway.ask(QUERY)
    said = body["extensions"]["twinmesh"]["subgraphs"]
    assert (said["assets"]["status"], said["work"]["status"]) == ("TIMEOUT", "SKIPPED")
    assert said["work"]["fetches"] == 0


async def test_scopes_that_a_subgraph_demands_are_the_tokens_roles(front):
    gateway = await front()
    _, denied, _ = await gateway.ask("{ secret }", headers=gateway.issuer.headers(roles=["read"]))
    assert denied["errors"][0]["extensions"]["code"] == "UNAUTHORIZED_FIELD_OR_TYPE"
    assert gateway.subgraphs["work"].answers.requests == []
    roles = gateway.issuer.headers(roles=["read", "work.write"])
    _, answered, _ = await gateway.ask("{ secret }", headers=roles)
    assert "errors" not in answered


async def test_a_subgraph_that_is_away_costs_its_own_fields(front):
    gateway = await front()
    gateway.urls["work"] = "http://127.0.0.1:9/graphql"
    await gateway.publish()
    await until(lambda: subgraph_status(gateway, "work"), "ERROR")
    status, body, _ = await gateway.ask(QUERY)
    assert status == 200
    assert body["data"]["assets"][0] == {"id": "0", "name": "pump 0", "items": None}
    assert body["extensions"]["twinmesh"]["subgraphs"]["assets"]["status"] == "OK"
    assert body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def until(ask, wanted):
    async with asyncio.timeout(15):
        while await ask() != wanted:  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.05)


async def subgraph_status(gateway, name):
    _, body, _ = await gateway.ask(QUERY)
    return body["extensions"]["twinmesh"]["subgraphs"][name]["status"]


async def test_what_a_subgraph_did_not_mean_for_clients_is_masked(front):
    gateway = await front()
    _, body, _ = await gateway.ask("{ boom }")
    assert body["data"] == {"boom": None}
    (error,) = body["errors"]
    assert "secret" not in json.dumps(body)
    assert error["path"] == ["boom"]
    assert error["extensions"]["code"] == "DOWNSTREAM_SERVICE_ERROR"
    assert error["extensions"]["serviceName"] == "work"
    open_ = await front(mask_errors=False)
    _, body, _ = await open_.ask("{ boom }")
    assert body["errors"][0]["message"] == "a secret of the house"


async def test_limits_are_refused_with_code_and_figures(front):
    gateway = await front(
        max_depth=2, max_aliases=1, max_tokens=150, max_type_cost=50, max_field_cost=4,
        introspection=False, rate_per_s=0.01, rate_burst=8,
    )  # fmt: skip
    for query, limit, found, allowed in (
        ("{ assets { items { id } } }", "depth", 3, 2),
        ("{ a: assets { id } b: assets { id } }", "aliases", 2, 1),
        ("{ assets(first: 50) { id } }", "type_cost", 51, 50),
        ("{ boom }", "field_cost", 5, 4),
    ):
        status, body, _ = await gateway.ask(query)
        extensions = body["errors"][0]["extensions"]
        assert extensions.pop("traceId")
        assert extensions == {
            "code": "LIMIT_EXCEEDED", "limit": limit, "found": found, "allowed": allowed,
        }  # fmt: skip
        assert status == 200
        assert "data" not in body
    _, tokens, _ = await gateway.ask("{ " + "assets { id } " * 40 + "}")
    assert tokens["errors"][0]["extensions"]["limit"] == "tokens"
    _, introspection, _ = await gateway.ask("{ __schema { __typename } }")
    assert introspection["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    _, fine, _ = await gateway.ask("{ assets { id } }")
    assert len(fine["data"]["assets"]) == 3
    while (answered := await gateway.ask("{ assets { id } }"))[0] == 200:
        pass
    status, body, headers = answered
    assert status == 429
    assert 1 <= int(headers["retry-after"]) <= 100
    assert body["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    other = gateway.issuer.headers(client_id="another", azp="another")
    assert (await gateway.ask("{ assets { id } }", headers=other, token=False))[0] == 200


async def test_documents_are_found_by_digest_and_a_safelist_holds(front, tmp_path):
    gateway = await front()
    document = "{ assets { id } }"
    digest = hashlib.sha256(document.encode()).hexdigest()
    named = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    _, body, _ = await gateway.ask(extensions=named)
    assert body["errors"][0]["message"] == "PersistedQueryNotFound"
    await gateway.ask(document, extensions=named)
    _, body, _ = await gateway.ask(extensions=named)
    assert len(body["data"]["assets"]) == 3

    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"all-assets": document}))
    strict = await front(persisted_documents=str(manifest), safelist=True)
    _, body, _ = await strict.ask(documentId="all-assets")
    assert len(body["data"]["assets"]) == 3
    status, body, _ = await strict.ask("{ items { id } }")
    assert (status, body["errors"][0]["extensions"]["code"]) == (403, "QUERY_NOT_IN_SAFELIST")


async def test_headers_go_on_by_rule_and_pages_of_named_origins_may_ask(front):
    rules = [{"name": "accept-language", "subgraph": "work"}]
    gateway = await front(header_rules=json.dumps(rules), cors_origins="https://ours.example")
    seen = []
    for name, subgraph in gateway.subgraphs.items():

        async def note(request, name=name, handle=subgraph._handle):
            seen.append((name, request.headers.get("accept-language")))
            return await handle(request)

        subgraph._handle = note
    origin = {"origin": "https://ours.example", "accept-language": "de"}
    _, _, headers = await gateway.ask(QUERY, headers=origin)
    assert sorted(seen, key=str) == [("assets", None), ("work", "de")]
    assert headers["access-control-allow-origin"] == "https://ours.example"
    assert "tm-trace-id" in headers["access-control-expose-headers"]
    refused, _, headers = await gateway.ask(QUERY, token=False, headers=origin)
    assert refused == 401
    assert headers["access-control-allow-origin"] == "https://ours.example"
    _, _, headers = await gateway.ask(QUERY, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in headers
    foreign = {"sec-fetch-site": "cross-site", **gateway.issuer.headers()}
    async with gateway.session.get(
        gateway.url, params={"query": QUERY}, headers=foreign
    ) as response:
        assert response.status == 403


async def test_events_reach_websockets_and_event_streams_completed_and_traced(front):
    gateway = await front()
    work = gateway.subgraphs["work"]
    async with gateway.socket(gateway.issuer.headers()) as ws:
        assert (await message(ws))["type"] == "connection_ack"
        subscribe = {"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}}
        await ws.send_json(subscribe)
        await work.until(1)
        await work.emit(EVENT)
        payload = (await message(ws))["payload"]
        assert payload["data"] == ANSWER
        said = payload["extensions"]["twinmesh"]
        assert said["subgraphs"]["assets"]["status"] == "OK"
        assert len(said["traceId"]) == 32
        first_now = said["now"]
        await work.emit(EVENT)
        assert (await message(ws))["payload"]["extensions"]["twinmesh"]["now"] > first_now
    headers, _ = work.opened[0]
    assert headers["authorization"].startswith("Bearer ")
    assert not {"tm-deadline-ms", "tm-now"} & headers.keys()
    await work.until(0)

    sent = {**gateway.issuer.headers(), "accept": "text/event-stream"}
    async with gateway.session.post(
        gateway.url, json={"query": SUBSCRIPTION}, headers=sent
    ) as response:
        await work.until(1)
        await work.emit(EVENT)
        assert await response.content.readline() == b"event: next\n"
        data = (await response.content.readline()).removeprefix(b"data: ")
        assert json.loads(data)["data"] == ANSWER
    await work.until(0)


@pytest.mark.parametrize("payload", [{}, {"authorization": "Bearer no"}, {"authorization": 7}])
async def test_a_websocket_without_a_valid_token_is_closed(front, payload):
    gateway = await front()
    async with gateway.socket(payload) as ws:
        assert (await ws.receive(timeout=15)).type is aiohttp.WSMsgType.CLOSE
        assert ws.close_code == 4403


async def test_a_subscription_ends_with_the_token_and_with_the_gateway(front):
    gateway = await front()
    work = gateway.subgraphs["work"]
    # The verifier allows for clocks that differ: this token is within that.
    short = gateway.issuer.headers(lifetime_s=-28.0)
    async with gateway.socket(short) as ws:
        assert (await message(ws))["type"] == "connection_ack"
        subscribe = {"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}}
        await ws.send_json(subscribe)
        await work.until(1)
        await asyncio.sleep(2.5)
        await work.emit(EVENT)
        ended = await message(ws)
        assert ended["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await ws.send_json({"id": "2", "type": "subscribe", "payload": {"query": QUERY}})
        refused = await message(ws)
        assert refused["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    async with gateway.socket(gateway.issuer.headers()) as ws:
        assert (await message(ws))["type"] == "connection_ack"
        await ws.send_json(subscribe)
        await work.until(1)
        gateway.service.stop()
        ended = await message(ws)
        assert ended["payload"][0]["extensions"]["code"] == "UNAVAILABLE"


async def test_a_subscription_is_about_now(front):
    gateway = await front()
    extensions = {"twinmesh": {"asOf": "2026-01-01T00:00:00Z"}}
    async with gateway.socket(gateway.issuer.headers()) as ws:
        assert (await message(ws))["type"] == "connection_ack"
        payload = {"query": SUBSCRIPTION, "extensions": extensions}
        await ws.send_json({"id": "1", "type": "subscribe", "payload": payload})
        assert (await message(ws))["payload"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_no_request_fails_while_governance_publishes_other_supergraphs(front):
    gateway = await front()
    swaps, answers, whole = 0, 0, 0
    done = asyncio.Event()

    async def client():
        nonlocal answers, whole
        while not done.is_set():
            status, body, _ = await gateway.ask(QUERY)
            answers += 1
            whole += status == 200 and not body.get("errors")

    clients = [asyncio.create_task(client()) for _ in range(4)]
    for number in range(5):
        gateway.sdls["work"] = WORK_WITH.format(number=number)
        await gateway.publish()
        await until(lambda n=number: knows(gateway, f"extra{n}"), True)
        swaps += 1
    done.set()
    await asyncio.gather(*clients)
    assert swaps == 5
    assert answers == whole > 0


WORK_WITH = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
type Query {{ items: [Item!]! boom: Int extra{number}: Int }}
type Item @key(fields: "id") {{ id: ID! asset: Asset }}
type Asset @key(fields: "id") {{ id: ID! items: [Item!] }}
"""


async def knows(gateway, name):
    _, body, _ = await gateway.ask("{ " + name + " }")
    return "data" in body


async def test_kept_entities_say_their_age_and_another_caller_has_their_own(front):
    gateway = await front(entity_ttl_s='{"Asset": 60}')
    work = gateway.subgraphs["work"].answers
    query = "{ assets { id items { id } } }"
    _, first, _ = await gateway.ask(query, headers=(mine := gateway.issuer.headers()))
    assert "cached" not in first["extensions"]["twinmesh"]["subgraphs"]["work"]
    asked = len(work.requests)
    await asyncio.sleep(0.2)
    _, second, _ = await gateway.ask(query, headers=mine, token=False)
    assert second["data"] == first["data"]
    assert len(work.requests) == asked
    cached = second["extensions"]["twinmesh"]["subgraphs"]["work"]["cached"]
    assert cached["entities"] == 3
    assert cached["types"] == ["Asset"]
    assert 0.2 <= cached["oldestS"] < 60
    await gateway.ask(query, headers=gateway.issuer.headers(sub="other"), token=False)
    assert len(work.requests) == asked + 1
    past = {"twinmesh": {"asOf": "2026-01-01T00:00:00Z"}}
    await gateway.ask(query, headers=mine, token=False, extensions=past)
    assert len(work.requests) == asked + 2


async def test_entities_that_state_a_trust_are_never_kept(front):
    gateway = await front(entity_ttl_s='{"Asset": 60}')
    work = gateway.subgraphs["work"].answers
    trust = {"verdict": "LATE", "quality": "GOOD", "reasons": []}
    work.extensions = {"twinmesh": {"trust": trust, "count": 1}}
    mine = gateway.issuer.headers()
    query = "{ assets { id items { id } } }"
    for times in (1, 2):
        _, body, _ = await gateway.ask(query, headers=mine, token=False)
        assert len(work.requests) == times
        said = body["extensions"]["twinmesh"]
        assert said["trust"]["verdict"] == "LATE"
        assert said["trust"]["causes"] == [{"subgraph": "work", "path": ["assets", "@"]}]
