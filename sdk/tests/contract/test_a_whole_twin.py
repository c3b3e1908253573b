"""A twin with every door, in process, on a real bus: what a caller sees."""

import asyncio
from dataclasses import dataclass, field

import grpc
import httpx
import orjson
import pytest
import strawberry
import strawberry.federation
from fastapi import APIRouter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from strawberry.dataloader import DataLoader

from twinmesh.governance.v1 import consumption_pb2
from twinmesh.twin.v1 import twin_service_pb2, twin_service_pb2_grpc
from twinmesh_sdk import graphql
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.consumption import Output, note_output
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.core.trust import Trust, Verdict
from twinmesh_sdk.runtime import (
    TwinService,
    TwinSettings,
    acting_for,
    current_principal,
    current_read_time,
)
from twinmesh_sdk.testing.mesh import register, running, settings_for


@strawberry.federation.type(keys=["id"])
class Asset:
    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID):
        return cls(id=id)

    @strawberry.field
    async def hello(self, info: strawberry.Info) -> str | None:
        return await info.context.words.load(str(self.id))

    @strawberry.field
    async def trust(self, verdict: str) -> graphql.Trust | None:
        return graphql.Trust.of(Trust(Verdict(verdict)))

    @strawberry.field
    def judged(self) -> str:
        note_output(Output("Judgement", str(self.id), 3, "judge", "1.2.0"))
        return "sound"

    @strawberry.field
    async def failing(self, how: str) -> str | None:
        if how == "bug":
            raise RuntimeError("a secret of the house")
        if how == "hang":
            await asyncio.sleep(30)
        raise NotFoundError("no such thing", hint="register it")


@strawberry.type
class Query:
    @strawberry.field
    def who(self) -> str:
        caller = current_principal()
        return f"{caller.subject}@{caller.tenant} {format_time(current_read_time().now)}"


SCHEMA = graphql.subgraph_schema(Query, types=[Asset])


@dataclass
class Words:
    """The request's context: counts its loads."""

    loads: list[list[str]]
    words: DataLoader = field(init=False)

    def __post_init__(self):
        async def load(ids):
            self.loads.append(list(ids))
            return [f"hello {i}" for i in ids]

        self.words = DataLoader(load_fn=load)


class Api(twin_service_pb2_grpc.TwinServiceServicer):
    async def Describe(self, request, context):
        caller = current_principal()
        note_output(Output("Judgement", "described", 1, "judge", "1.2.0"))
        return twin_service_pb2.DescribeResponse(
            name=f"{caller.subject}@{caller.tenant}", version=format_time(current_read_time().as_of)
        )

    async def Explain(self, request, context):
        if request.output_id == "bug":
            raise RuntimeError("a secret of the house")
        raise NotFoundError("no such output", hint="ask for another")


def charter():
    return {
        "name": "greeter",
        "version": "1.0.0",
        "kind": "foundation",
        "contract": {"consumes": []},
    }


CONTRACT = Contract.of(charter(), graphql.sdl_of(SCHEMA), b"")


@dataclass
class Running:
    service: TwinService
    http: httpx.AsyncClient
    loads: list[list[str]]

    async def ask(self, query, headers, **variables):
        body = {"query": query, "variables": variables}
        return (await self.http.post("/graphql", json=body, headers=headers)).json()


def assemble(settings):
    service = TwinService(settings, CONTRACT)
    loads = []
    service.add_subgraph(SCHEMA, lambda: Words(loads))
    service.add_grpc(twin_service_pb2_grpc.add_TwinServiceServicer_to_server, Api())
    routes = APIRouter()

    @routes.post("/v1/echo")
    async def echo(body: dict[str, int]) -> dict[str, int]:
        if body.get("missing"):
            raise NotFoundError("no such thing")
        return body

    @routes.get("/v1/peer")
    async def ask_peer() -> list[str]:
        answer = await describe(service.peer("assets"))
        return [answer.name, answer.version]

    @routes.post("/v1/hang")
    async def hang() -> None:
        await asyncio.sleep(30)

    service.add_router(routes)
    return service, loads


@pytest.fixture
async def greeter(nats, bus, issuer, tmp_path):
    settings = settings_for(
        TwinSettings, nats_url=nats.url, issuer=issuer.url, trace_dir=str(tmp_path / "traces")
    )
    service, loads = assemble(settings)
    await register(bus, CONTRACT)
    async with (
        running(service),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}") as client,
    ):
        service.settings.__dict__["assets_addr"] = f"127.0.0.1:{service.grpc_port}"
        yield Running(service, client, loads)


ENTITIES = """
query($keys: [_Any!]!, $how: String!) {
  _entities(representations: $keys) { ... on Asset { id hello trust(verdict: $how) { verdict } } }
}
"""


async def test_a_subgraph_answers_many_entities_with_one_load(greeter, issuer):
    keys = [{"__typename": "Asset", "id": f"a{n}"} for n in range(100)]

    answer = await greeter.ask(ENTITIES, issuer.headers(), keys=keys, how="STALE")

    assert answer["data"]["_entities"][7]["hello"] == "hello a7"
    assert len(greeter.loads) == 1
    assert answer["extensions"]["twinmesh"]["count"] == 100
    assert answer["extensions"]["twinmesh"]["trust"]["verdict"] == "STALE"


async def test_a_subgraph_names_the_derived_outputs_of_its_answer_once(greeter, issuer):
    keys = [{"__typename": "Asset", "id": i} for i in ("a", "b", "a")]
    query = (
        "query($keys: [_Any!]!) { _entities(representations: $keys) { ... on Asset { judged } } }"
    )

    answer = await greeter.ask(query, issuer.headers(), keys=keys)

    assert answer["extensions"]["twinmesh"]["outputs"] == [
        {
            "type": "Judgement",
            "model": "judge",
            "modelVersion": "1.2.0",
            "items": [["a", 3], ["b", 3]],
        }
    ]


async def test_the_times_of_the_headers_are_those_that_resolvers_see(greeter, issuer):
    now = "2026-02-03T04:05:06.000007Z"

    answer = await greeter.ask("{ who }", {**issuer.headers(), "tm-now": now})

    assert answer["data"]["who"] == f"planner@acme {now}"


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [("bug", "INTERNAL", "internal error"), ("missing", "NOT_FOUND", "no such thing")],
)
async def test_a_failed_field_says_its_code_and_no_secret(greeter, issuer, how, code, message):
    keys = [{"__typename": "Asset", "id": "a"}]
    query = (
        "query($keys: [_Any!]!, $how: String!)"
        "{ _entities(representations: $keys) { ... on Asset { failing(how: $how) } } }"
    )

    answer = await greeter.ask(query, issuer.headers(), keys=keys, how=how)

    (error,) = answer["errors"]
    assert error["message"] == message
    assert error["extensions"]["code"] == code
    assert len(error["extensions"]["traceId"]) == 32
    assert error["path"] == ["_entities", 0, "failing"]
    assert answer["data"]["_entities"] == [{"failing": None}]


async def test_a_subgraph_gives_up_at_the_callers_deadline(greeter, issuer):
    keys = [{"__typename": "Asset", "id": "a"}]
    query = (
        "query($keys: [_Any!]!)"
        '{ _entities(representations: $keys) { ... on Asset { failing(how: "hang") } } }'
    )
    headers = {**issuer.headers(), "tm-deadline-ms": "200"}

    answer = await greeter.ask(query, headers, keys=keys)

    assert answer["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize(
    "query",
    ["{ nothing }", "{ who", "query($n: Int!) { who }", "{ ...F } fragment F on Query { ...F }"],
)
async def test_a_query_that_cannot_run_is_invalid_input(greeter, issuer, query):
    answer = await greeter.ask(query, issuer.headers())

    assert answer["errors"][0]["extensions"]["code"] == "INVALID_INPUT"


async def test_a_query_beyond_a_limit_is_refused(greeter, issuer):
    many = " ".join(f"a{n}: who" for n in range(2_001))
    keys = [{"__typename": "Asset", "id": "a"}] * 2_001

    wide = await greeter.ask("{" + many + "}", issuer.headers())
    long = await greeter.ask(ENTITIES, issuer.headers(), keys=keys, how="FRESH")

    assert wide["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
    assert long["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_every_door_refuses_a_request_without_a_token(greeter):
    for path in ("/graphql", "/v1/echo"):
        response = await greeter.http.post(path, json={"query": "{ who }"})
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"lifetime_s": -60.0}, 401),
        ({"aud": "another"}, 401),
        ({"iss": "http://another"}, 401),
        ({"exp": None}, 401),
        ({"tenant": "UPPER"}, 401),
        ({"tenant": "*"}, 401),
        ({"tenant": "*", "roles": ["mesh.service"]}, 400),
        ({"nbf": 99_999_999_999}, 401),
        ({"roles": ["read"] * 65}, 401),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(greeter, issuer, claims, status):
    response = await greeter.http.post("/v1/echo", json={"a": 1}, headers=issuer.headers(**claims))

    assert response.status_code == status, response.text


async def test_a_forged_token_is_refused(greeter, issuer):
    head, body, signature = issuer.token().split(".")
    forged = f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    unsigned = "eyJhbGciOiJub25lIn0." + body + "."

    for token in (forged, unsigned, "nonsense", "a.b.c", "x" * 10_000):
        headers = {"authorization": f"Bearer {token}"}
        response = await greeter.http.post("/v1/echo", json={"a": 1}, headers=headers)
        assert response.status_code == 401, token[:40]


async def test_a_new_key_is_fetched_and_an_unknown_one_not_over_and_over(greeter, issuer):
    assert (await greeter.ask("{ who }", issuer.headers()))["data"]
    fetched = issuer.fetched
    issuer.rotate("second")

    for _ in range(5):
        await greeter.ask("{ who }", issuer.headers(subject="someone"))

    assert issuer.fetched <= fetched + 1


async def test_only_a_service_acts_for_another_tenant(greeter, issuer):
    other = {**issuer.headers(), "tm-tenant": "globex"}
    service = {**issuer.headers(tenant="*", roles=["mesh.service"]), "tm-tenant": "globex"}

    refused = await greeter.http.post("/graphql", json={"query": "{ who }"}, headers=other)
    answer = await greeter.ask("{ who }", service)

    assert refused.status_code == 403
    assert answer["data"]["who"].startswith("planner@globex")


async def test_a_large_body_is_refused_announced_or_not(greeter, issuer):
    async def parts():
        for _ in range(40):
            yield b"x" * 2**20

    announced = await greeter.http.post(
        "/v1/echo", content=b"x" * (10 * 2**20), headers=issuer.headers()
    )
    streamed = await greeter.http.post("/v1/echo", content=parts(), headers=issuer.headers())

    assert announced.status_code == 413
    assert streamed.status_code == 413


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "INVALID_INPUT"),
        (b'{"a": "text"}', 400, "INVALID_INPUT"),
        (b'{"missing": 1}', 404, "NOT_FOUND"),
    ],
)
async def test_a_route_answers_failures_as_problems(greeter, issuer, content, status, code):
    headers = {**issuer.headers(), "content-type": "application/json"}

    response = await greeter.http.post("/v1/echo", content=content, headers=headers)

    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.json()["traceId"] == response.headers["tm-trace-id"]


@pytest.mark.parametrize(
    "headers",
    [
        {"tm-now": "yesterday"},
        {"tm-as-of": "2026-01-01"},
        {"tm-deadline-ms": "0"},
        {"tm-deadline-ms": "-1"},
        {"tm-deadline-ms": "1e3"},
    ],
)
async def test_a_malformed_header_is_invalid_input(greeter, issuer, headers):
    response = await greeter.http.post(
        "/graphql", json={"query": "{ who }"}, headers={**issuer.headers(), **headers}
    )

    assert response.status_code == 400
    assert next(iter(headers)) in response.json()["detail"]


async def test_unknown_paths_and_methods_are_problems_too(greeter):
    assert (await greeter.http.get("/nothing")).json()["code"] == "NOT_FOUND"
    assert (await greeter.http.get("/graphql")).status_code == 405


async def test_metrics_and_health_need_no_token(greeter):
    ready = await greeter.http.get("/healthz/ready")

    assert ready.json()["probes"] == {"bus": "ok", "contract": "ok", "doors": "ok"}
    assert (await greeter.http.get("/healthz/live")).status_code == 200
    assert b"twin_http_requests_total" in (await greeter.http.get("/metrics")).content


async def describe(channel):
    stub = twin_service_pb2_grpc.TwinServiceStub(channel)
    return await stub.Describe(twin_service_pb2.DescribeRequest())


async def test_a_call_is_a_use_of_its_method_and_a_receipt_of_what_it_returned(greeter, bus):
    with acting_for(Tenant("globex")):
        await describe(greeter.service.peer("assets"))
    await greeter.service.consumption.flush()

    message = await bus.js.get_last_msg("USE", "use.globex.greeter")
    report = consumption_pb2.ConsumptionReport.FromString(message.data)
    (use,) = report.uses
    assert (use.client, use.coordinate) == ("greeter", "twinmesh.twin.v1.TwinService/Describe")
    assert (use.service, use.kind) == ("greeter", consumption_pb2.USE_KIND_RPC_METHOD)
    (receipt,) = report.receipts
    assert (receipt.client, receipt.output_id, receipt.model) == ("greeter", "described", "judge")
    assert receipt.door == consumption_pb2.DOOR_RPC


async def test_a_service_calls_a_peer_for_the_tenant_it_acts_for(greeter):
    channel = greeter.service.peer("assets")

    with acting_for(Tenant("globex")):
        answer = await describe(channel)

    assert answer.name == "svc-test@globex"


def test_a_stub_is_made_before_any_loop_runs_and_works_in_a_later_one():
    settings = settings_for(
        TwinSettings,
        nats_url="nats://127.0.0.1:1",
        issuer="http://127.0.0.1:1",
        assets_addr="127.0.0.1:1",
    )
    stub = twin_service_pb2_grpc.TwinServiceStub(TwinService(settings, CONTRACT).peer("assets"))

    async def call():
        with acting_for(Tenant("acme")), pytest.raises(UnavailableError):
            await stub.Describe(twin_service_pb2.DescribeRequest())

    asyncio.run(call())


async def test_a_service_call_without_a_tenant_is_refused(greeter):
    with pytest.raises(InvalidInputError):
        await describe(greeter.service.peer("assets"))


async def test_a_peers_failure_arrives_as_the_error_it_is(greeter):
    stub = twin_service_pb2_grpc.TwinServiceStub(greeter.service.peer("assets"))

    with acting_for(Tenant("acme")), pytest.raises(NotFoundError) as caught:
        await stub.Explain(twin_service_pb2.ExplainRequest(output_id="none"))

    assert caught.value.hint == "ask for another"


async def test_a_peers_bug_does_not_look_like_an_outage(greeter):
    stub = twin_service_pb2_grpc.TwinServiceStub(greeter.service.peer("assets"))

    with acting_for(Tenant("acme")), pytest.raises(Exception, match="internal error") as caught:
        await stub.Explain(twin_service_pb2.ExplainRequest(output_id="bug"))

    assert "secret" not in str(caught.value)


async def test_an_unimplemented_or_absent_peer_is_told_apart(greeter):
    settings = greeter.service.settings
    settings.__dict__["energy_addr"] = "127.0.0.1:1"

    with acting_for(Tenant("acme")), pytest.raises(UnavailableError):
        await describe(greeter.service.peer("energy"))


async def test_a_call_without_a_token_is_unauthenticated(greeter):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{greeter.service.grpc_port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await describe(channel)

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_grpc_health_service_follows_the_probes(greeter):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{greeter.service.grpc_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        before = await stub.Check(health_pb2.HealthCheckRequest())

        async def broken():
            raise UnavailableError("away")

        greeter.service.add_probe("store", broken)
        after = await stub.Check(health_pb2.HealthCheckRequest())

    assert before.status == health_pb2.HealthCheckResponse.SERVING
    assert after.status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert (await greeter.http.get("/healthz/ready")).status_code == 503


async def test_a_service_whose_contract_is_not_active_is_not_ready(nats, bus, issuer):
    service, _ = assemble(settings_for(TwinSettings, nats_url=nats.url, issuer=issuer.url))

    async with running(service, ready=False):
        before = await service.probes.report()
        await register(bus, CONTRACT)
        for _ in range(200):
            if await service.probes.ready():
                break
            await asyncio.sleep(0.02)

        assert before["contract"].startswith("PRECONDITION_FAILED")
        assert (await service.probes.report())["contract"] == "ok"


def test_a_schema_that_the_contract_does_not_hold_is_refused(nats_free_settings):
    other = Contract.of(charter(), "type Query { other: Int }", b"")
    service = TwinService(nats_free_settings, other)

    with pytest.raises(InvalidInputError, match=r"schema\.graphql"):
        service.add_subgraph(SCHEMA, object)


@pytest.fixture
def nats_free_settings():
    return settings_for(TwinSettings, nats_url="nats://127.0.0.1:1", issuer="http://127.0.0.1:1")


async def test_a_route_that_hangs_is_answered_soon_after_the_deadline(greeter, issuer):
    headers = {**issuer.headers(), "tm-deadline-ms": "100"}

    response = await greeter.http.post("/v1/hang", headers=headers)

    assert response.status_code == 504
    assert response.json()["code"] == "DEADLINE_EXCEEDED"


async def test_a_twin_waits_for_the_bus_says_so_and_stops_meanwhile(issuer):
    url = "nats://127.0.0.1:1"
    service, _ = assemble(settings_for(TwinSettings, nats_url=url, issuer=issuer.url))
    task = asyncio.create_task(service.run())
    async with asyncio.timeout(10):
        while not service.http_port:  # noqa: ASYNC110 - set when it listens, without an event
            await asyncio.sleep(0.01)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}") as client:
        live = await client.get("/healthz/live")
        ready = await client.get("/healthz/ready")
        asked = await client.post("/graphql", json={"query": "{ who }"}, headers=issuer.headers())
    service.stop()
    await asyncio.wait_for(task, 5)

    assert (live.status_code, ready.status_code, asked.status_code) == (200, 503, 503)
    assert ready.json()["probes"]["bus"].startswith("UNAVAILABLE")


async def test_a_callers_token_times_and_trace_travel_to_the_peer(greeter, issuer, tmp_path):
    trace, as_of = "0af7651916cd43dd8448eb211c80319c", "2026-02-03T04:05:06.000007Z"
    headers = {
        **issuer.headers(),
        "traceparent": f"00-{trace}-b7ad6b7169203331-01",
        "tm-as-of": as_of,
    }

    response = await greeter.http.get("/v1/peer", headers=headers)

    assert response.json() == ["planner@acme", as_of]
    assert response.headers["tm-trace-id"] == trace
    spans = await kept_spans(tmp_path / "traces" / "greeter.jsonl", trace, at_least=3)
    door, call, served = (spans[kind] for kind in ("GET /v1/peer", "CLIENT", "SERVER"))
    assert door["parent_id"] == "b7ad6b7169203331"
    assert call["parent_id"] == door["span_id"]
    assert served["parent_id"] == call["span_id"]


async def kept_spans(path, trace, *, at_least):
    """Return the spans of a trace by name or, of RPCs, kind, once so many are kept."""
    async with asyncio.timeout(10):
        while True:
            lines = map(orjson.loads, path.read_bytes().splitlines()) if path.exists() else ()
            spans = [line for line in lines if line["trace_id"] == trace]
            if len(spans) >= at_least:
                return {s["kind"] if "TwinService" in s["name"] else s["name"]: s for s in spans}
            await asyncio.sleep(0.05)
