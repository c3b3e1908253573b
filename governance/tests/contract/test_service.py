"""Governance through its doors, on the real NATS, PostgreSQL and issuer."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from nats.errors import Error as NatsError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from governance import app, wire
from governance.settings import GovernanceSettings
from twinmesh.governance.v1 import consumption_pb2, contract_pb2, model_pb2
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1.contract_events_pb2 import ContractDeprecated
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.testing.mesh import running, settings_for
from twinmesh_sdk.wire import timestamp

pytestmark = pytest.mark.stack

ASSETS_SDL = """
type Query { asset(id: ID!): Asset }
type Asset @key(fields: "id") { id: ID! name: String! }
"""
PUMP_SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key"])
type Asset @key(fields: "id") { id: ID! pump: Pump }
type Pump { state: String! since: String }
"""
ACTIVE = contract_pb2.CONTRACT_STATE_ACTIVE
REFUSED = contract_pb2.CONTRACT_STATE_REFUSED
ARTEFACT = b"weights"
DIGEST = f"sha256:{hashlib.sha256(ARTEFACT).hexdigest()}"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def settings(database_url, issuer, private_nats):
    return settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        republish_s=0.2,
        model_key=KEY.private_bytes_raw().hex(),
        recall_wait_s=0.5,
    )


@pytest.fixture
async def service(settings):
    async with running(app.build(settings)) as service:
        yield service


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as bus:
        yield bus


@pytest.fixture
async def ask(service, issuer):
    """Call governance as somebody: `await ask("author", "ListModels", request)`."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        stub = GovernanceServiceStub(channel)

        async def call(who, method, request):
            metadata = (("authorization", f"Bearer {issuer.token(who)}"),)
            return await getattr(stub, method)(request, metadata=metadata, timeout=20)

        yield call


@pytest.fixture
def push(ask):
    """Push bundles as CI does."""

    async def run(*bundles, who="twinmesh-ci", dry_run=False):
        request = pb.PushContractsRequest(
            bundles=[wire.bundle_to_pb(b) for b in bundles], dry_run=dry_run
        )
        return await ask(who, "PushContracts", request)

    return run


@pytest.fixture
def read_kv(bus):
    async def read(bucket, key):
        return json.loads((await (await bus.kv(bucket)).get(key)).value)

    return read


def said(answer):
    return [(o.service, o.state, [f.code for f in o.findings]) for o in answer.outcomes]


async def test_governance_is_ready_before_its_own_contract_is_active_and_can_then_hold_it(
    service, push, read_kv
):
    own = wire.bundle_from_pb(Contract.load("governance").to_pb(subgraph_url="http://g/graphql"))

    answer = await push(own)

    assert said(answer) == [("governance", ACTIVE, ["CONSUMED_EVENT_UNKNOWN"])]
    entry = await read_kv("contracts", "active.governance")
    assert entry["digest"] == service.contract.digest
    assert entry["accepted"] == [service.contract.digest]


async def test_a_push_is_published_with_supergraph_budgets_and_objects(
    push, bundle, protos, read_kv, bus
):
    event = ("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")
    answer = await push(
        bundle("asset-registry", kind="foundation", sdl=ASSETS_SDL),
        bundle(
            sdl=PUMP_SDL, descriptors=protos(Opened=["id"]), events=[event],
            protos=["twinmesh.pump.v1"], freshness=[{"decision": "trip", "budget_s": 60}],
        ),
    )  # fmt: skip

    assert [state for _, state, _ in said(answer)] == [ACTIVE, ACTIVE]
    pointer = await read_kv("contracts", "supergraph")
    supergraph = (await bus.get_object("bundles", pointer["object"])).decode()
    assert pointer["digest"] == answer.supergraph_digest
    assert set(pointer["subgraphs"]) == {"asset-registry", "pump-twin"}
    assert "join__Graph" in supergraph
    assert await read_kv("contracts", "budgets") == {
        "trip": {"budget_s": 60.0, "declared_by": "pump-twin"}
    }
    registered = await read_kv("contracts", "event.pump.work_item.opened.v1")
    assert (registered["message"], registered["status"]) == (event[1], "ACTIVE")


async def test_breaking_changes_are_refused_by_name_and_the_running_version_stays(
    push, bundle, protos, read_kv
):
    registry = bundle("asset-registry", kind="foundation", sdl=ASSETS_SDL)
    parts = {"sdl": PUMP_SDL, "protos": ["twinmesh.pump.v1"]}
    first = bundle(descriptors=protos(Opened=["id", "mode"]), **parts)
    await push(registry, first)

    proto = await push(bundle(version="1.1.0", descriptors=protos(Opened=["id"]), **parts))
    sdl = await push(
        bundle(
            version="1.1.0",
            descriptors=protos(Opened=["id", "mode"]),
            **(parts | {"sdl": PUMP_SDL.replace("since: String", "")}),
        )
    )
    clash = await push(
        bundle(
            "other",
            sdl='type Asset @key(fields: "id") { id: ID! name: Int }  type Query { o: Int }',
        )
    )
    voiding = await push(
        bundle("third", sdl='type Asset @key(fields: "id") { id: ID! third: Int! }')
    )

    assert said(proto) == [("pump-twin", REFUSED, ["PROTO_FIELD_REMOVED"])]
    assert "mode" in proto.outcomes[0].findings[0].message
    assert said(sdl) == [("pump-twin", REFUSED, ["FIELD_REMOVED"])]
    assert sdl.outcomes[0].findings[0].subject == "Pump.since"
    assert clash.outcomes[0].state == REFUSED
    assert "asset-registry" in str(clash.outcomes[0].findings)
    assert said(voiding) == [("third", REFUSED, ["NON_NULL_DOMAIN_FIELD"])]
    assert (await read_kv("contracts", "active.pump-twin"))["version"] == "1.0.0"


async def test_a_compatible_second_version_leaves_the_first_accepted(push, bundle, read_kv):
    await push(bundle("asset-registry", kind="foundation", sdl=ASSETS_SDL), bundle(sdl=PUMP_SDL))
    before = await read_kv("contracts", "supergraph")
    first = (await read_kv("contracts", "active.pump-twin"))["digest"]

    more = PUMP_SDL.replace("since: String", "since: String cause: String")
    answer = await push(bundle(version="1.1.0", sdl=more))

    entry = await read_kv("contracts", "active.pump-twin")
    assert said(answer) == [("pump-twin", ACTIVE, [])]
    assert entry["version"] == "1.1.0"
    assert set(entry["accepted"]) == {first, entry["digest"]}
    assert (await read_kv("contracts", "supergraph"))["digest"] != before["digest"]


async def test_a_dry_run_registers_nothing(push, bundle, ask):
    answer = await push(bundle(), dry_run=True)

    assert said(answer) == [("pump-twin", ACTIVE, [])]
    assert not (await ask("author", "ListContracts", pb.ListContractsRequest())).contracts


async def test_concurrent_pushes_of_one_version_leave_one_content(push, bundle, ask):
    rivals = [bundle(scale=f"Way {number}.") for number in range(4)]
    answers = await asyncio.gather(*(push(rival) for rival in rivals))
    states = sorted(a.outcomes[0].state for a in answers)
    versions = await ask("author", "ListContracts", pb.ListContractsRequest(service="pump-twin"))

    assert states == sorted([ACTIVE, REFUSED, REFUSED, REFUSED])
    assert len(versions.contracts) == 1


async def test_pushing_needs_the_role_and_no_service_has_it(service, push, bundle, issuer):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await push(bundle(), who="erp-app")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        metadata = (
            ("authorization", f"Bearer {issuer.token('svc-telemetry')}"),
            ("tm-tenant", "acme"),
        )
        with pytest.raises(grpc.aio.AioRpcError) as by_service:
            await GovernanceServiceStub(channel).PushContracts(
                pb.PushContractsRequest(bundles=[wire.bundle_to_pb(bundle())]), metadata=metadata
            )

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert by_service.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_wrong_digest_and_a_malformed_charter_are_invalid_input(ask, bundle):
    message = wire.bundle_to_pb(bundle())
    for change in ({"digest": "0" * 64}, {"charter_json": b"[]"}, {"charter_json": b"{"}):
        broken = contract_pb2.ContractBundle()
        broken.CopyFrom(message)
        for name, value in change.items():
            setattr(broken, name, value)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask("twinmesh-ci", "PushContracts", pb.PushContractsRequest(bundles=[broken]))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_descriptors_that_are_not_whole_refuse_their_own_bundle_only(push, bundle, protos):
    await push(bundle(descriptors=protos(Opened=["id"])))
    files = FileDescriptorSet.FromString(protos(Opened=["id"]))
    files.file[0].dependency.append("gone.proto")
    torn = bundle(version="1.1.0", descriptors=files.SerializeToString())

    answer = await push(torn, bundle("other"))

    assert [state for _, state, _ in said(answer)] == [REFUSED, ACTIVE]
    assert "IMPORT_MISSING" in said(answer)[0][2]


async def test_a_lost_bucket_is_restored(push, bundle, bus, read_kv):
    await push(bundle(sdl="type Query { pumps: Int }"))
    entry = await read_kv("contracts", "active.pump-twin")
    pointer = await read_kv("contracts", "supergraph")

    await bus.js.delete_key_value("contracts")
    await bus.js.delete_object_store("bundles")
    for _ in range(100):
        try:
            bucket = await bus.js.key_value("contracts")
            restored = json.loads((await bucket.get("supergraph")).value)
            await bus.get_object("bundles", restored["object"])
            again = json.loads((await bucket.get("active.pump-twin")).value)
            break
        except (NatsError, TwinError):
            await asyncio.sleep(0.1)

    assert restored == pointer
    assert again == entry


async def test_a_restart_shows_the_same_again(settings, bundle, issuer, bus):
    made = bundle(sdl="type Query { pumps: Int }")
    metadata = (("authorization", f"Bearer {issuer.token('twinmesh-ci')}"),)
    async with running(app.build(settings)) as first:
        address = f"127.0.0.1:{first.grpc_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            await GovernanceServiceStub(channel).PushContracts(
                pb.PushContractsRequest(bundles=[wire.bundle_to_pb(made)]), metadata=metadata
            )
    await bus.js.delete_key_value("contracts")
    async with running(app.build(settings)):
        for _ in range(100):
            try:
                entry = await (await bus.js.key_value("contracts")).get("active.pump-twin")
                break
            except (NatsError, TwinError):
                await asyncio.sleep(0.1)

    assert json.loads(entry.value)["digest"] == made.digest


def submission(version="1.0.0", **more):
    given = {
        "name": "pump-condition",
        "version": version,
        "artefact": ARTEFACT,
        "scope": model_pb2.ModelScope(asset_classes=["pump"]),
        "back_test": model_pb2.BackTest(
            reference="bt-1",
            metric="F1",
            achieved=0.8,
            threshold=0.7,
            baseline="age only",
            baseline_achieved=0.5,
        ),
        "training_data": DIGEST,
    }
    return pb.SubmitModelRequest(**(given | more))


def named(kind, version="1.0.0", **more):
    return kind(name="pump-condition", version=version, **more)


async def test_a_model_needs_two_persons_and_becomes_effective_at_a_time(ask, read_kv):
    await ask("author", "SubmitModel", submission())
    with pytest.raises(grpc.aio.AioRpcError) as own:
        await ask("author", "ApproveModel", named(pb.ApproveModelRequest))
    with pytest.raises(grpc.aio.AioRpcError) as early:
        await ask("reviewer", "ActivateModel", named(pb.ActivateModelRequest))
    await ask("reviewer", "ApproveModel", named(pb.ApproveModelRequest, note="beats age only"))
    start = datetime(2020, 3, 9, 6, tzinfo=UTC)
    request = named(pb.ActivateModelRequest)
    request.effective_from.FromDatetime(start)
    answer = await ask("reviewer", "ActivateModel", request)
    again = await ask("reviewer", "ActivateModel", request)

    asked = pb.GetModelAtRequest(name="pump-condition", asset_class="pump")
    asked.at.FromDatetime(start)
    decides = await ask("erp-app", "GetModelAt", asked)
    asked.asset_class = "fan"
    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await ask("erp-app", "GetModelAt", asked)

    assert decides.model.version == "1.0.0"
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
    assert own.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert early.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert answer.changed
    assert not again.changed
    entry = await read_kv("models", "active.pump-condition")
    assert (entry["submitted_by"], entry["approved_by"]) == ("author", "reviewer")
    assert entry["effective_from"] == "2020-03-09T06:00:00.000000Z"
    assert entry["digest"] == DIGEST


async def test_someone_with_both_roles_still_cannot_approve_their_own(service, issuer):
    token = issuer.mint(tenant="acme", roles=["models.submit", "models.approve"], client_id="both")
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{service.http_port}/v1",
        headers={"authorization": f"Bearer {token}"},
    ) as client:
        body = {
            "name": "m", "version": "1.0.0", "artefact_digest": DIGEST,
            "back_test": {"reference": "bt"},
        }  # fmt: skip
        submitted = await client.post("/models", json=body)
        approved = await client.post("/models/m/1.0.0/approve", json={})

    assert submitted.status_code == 200
    assert approved.status_code == 403


async def test_every_attempt_is_in_the_audit_log_and_only_for_its_tenant(ask, push, bundle):
    await push(bundle())
    await push(bundle(scale="Otherwise."))
    await ask("author", "SubmitModel", submission())
    with pytest.raises(grpc.aio.AioRpcError):
        await ask("author", "ApproveModel", named(pb.ApproveModelRequest))
    entries = (await ask("reviewer", "ListAudit", pb.ListAuditRequest())).entries
    others = (await ask("outsider", "ListAudit", pb.ListAuditRequest())).entries

    assert [(e.action, e.outcome) for e in entries] == [
        ("model.approve", "REFUSED"),
        ("model.submit", "ACCEPTED"),
        ("contract.push", "REFUSED"),
        ("contract.push", "ACCEPTED"),
    ]
    assert [e.sequence for e in entries] == [4, 3, 2, 1]
    assert not others


async def test_ci_can_push_by_rest_and_is_told_why_not(service, issuer, bundle):
    made = bundle()
    body = {
        "bundles": [
            {
                "service": "pump-twin",
                "version": "1.0.0",
                "charter": made.charter,
                "digest": made.digest,
            }
        ]
    }
    token = issuer.token("twinmesh-ci")
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{service.http_port}/v1",
        headers={"authorization": f"Bearer {token}"},
    ) as client:
        accepted = await client.post("/contracts", json=body)
        body["bundles"][0] |= {"charter": {**made.charter, "scale": "Otherwise."}, "digest": ""}
        refused = await client.post("/contracts", json=body)
        nobody = await client.post("/contracts", json=body, headers={"authorization": ""})
        strange = await client.post("/contracts", json={"bundles": [], "x": 1})
        described = (await client.get(f"http://127.0.0.1:{service.http_port}/openapi.json")).json()

    paths = {"/v1/contracts", "/v1/deployments", "/v1/can-i-deploy/{service}/{version}"}
    assert paths <= described["paths"].keys()
    assert (accepted.status_code, accepted.json()["accepted"]) == (200, True)
    assert refused.status_code == 409
    assert refused.json()["outcomes"][0]["findings"][0]["code"] == "VERSION_TAKEN"
    assert nobody.status_code == 401
    assert strange.status_code in {400, 422}


async def test_the_subgraph_answers_contracts_and_models(service, issuer, push, ask, bundle):
    await push(bundle(sdl="type Query { pumps: Int }"), bundle("other"))
    await ask("author", "SubmitModel", submission())
    query = """{
      contracts(first: 1) { nodes { service state team budgets { decision budgetS } }
                            pageInfo { hasNextPage endCursor } }
      models { nodes { name version state submittedBy approvedBy } }
    }"""
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"http://127.0.0.1:{service.http_port}/graphql",
            json={"query": query},
            headers={"authorization": f"Bearer {issuer.token('erp-app')}"},
        )
    data = answer.json()["data"]

    assert data["contracts"]["nodes"] == [
        {
            "service": "other", "state": "ACTIVE", "team": "team other",
            "budgets": [{"decision": "review", "budgetS": 14400.0}],
        }
    ]  # fmt: skip
    assert data["contracts"]["pageInfo"]["hasNextPage"]
    assert data["models"]["nodes"][0]["state"] == "SUBMITTED"


async def test_the_store_refuses_to_forget(service, database_url, push, bundle):
    del service
    await push(bundle())
    engine = create_async_engine(database_url)
    with pytest.raises(Exception, match="append-only"):
        async with engine.begin() as connection:
            await connection.execute(text("TRUNCATE audit_entries"))
    await engine.dispose()


FULL = "type Query { pump: Pump } type Pump { id: ID! state: String since: String }"
LESS = "type Query { pump: Pump } type Pump { id: ID! state: String }"
MARKED = 'type Query { pump: Pump } type Pump { id: ID! state: String @deprecated(reason: "old") }'


@pytest.fixture
async def rest(service, issuer):
    """Call the REST door as somebody: returns status and body."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}/v1") as client:

        async def call(who, method, path, **more):
            headers = {"authorization": f"Bearer {issuer.token(who)}"}
            answer = await client.request(method, path, headers=headers, **more)
            return answer.status_code, answer.json() if answer.content else None

        yield call


@pytest.fixture
async def subgraph(service, issuer):
    """Ask the subgraph as somebody; returns its data."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.http_port}") as client:

        async def call(who, query):
            headers = {"authorization": f"Bearer {issuer.token(who)}"}
            answer = await client.post("/graphql", json={"query": query}, headers=headers)
            assert "errors" not in answer.json(), answer.json()
            return answer.json()["data"]

        yield call


@pytest.fixture
def report_use(bus, rest):
    """Report that erp-app used a field, and wait until governance knows."""

    async def run(sequence, coordinate):
        now = timestamp(datetime.now(UTC))
        use = consumption_pb2.ContractUse(
            client="erp-app", kind=consumption_pb2.USE_KIND_FIELD, coordinate=coordinate,
            service="pump-twin", first_at=now, last_at=now, count=1,
        )  # fmt: skip
        message = consumption_pb2.ConsumptionReport(
            reporter="gateway", instance="a", sequence=sequence, uses=[use]
        )
        await bus.js.publish("use.acme.gateway", message.SerializeToString())
        async with asyncio.timeout(15):
            while True:
                _, found = await rest("planner", "GET", "/contracts/pump-twin/uses")
                if coordinate in {each["coordinate"] for each in found["uses"]}:
                    return
                await asyncio.sleep(0.05)

    return run


def as_rest(made):
    return {
        "service": str(made.service),
        "version": str(made.version),
        "charter": made.charter,
        "sdl": made.sdl,
        "subgraph_url": made.subgraph_url,
        "digest": made.digest,
    }


async def test_a_successor_that_breaks_a_live_consumer_needs_two_persons(
    rest, push, bundle, report_use, ask
):
    await push(bundle(sdl=FULL))
    await report_use(1, "Pump.since")
    owner = {"team": "Finance", "contact": "fin@example.com"}
    named = await rest("twinmesh-ci", "PUT", "/clients/erp-app", json=owner)
    service = await rest("twinmesh-ci", "PUT", "/clients/svc-pump-twin", json=owner)
    broken = bundle(version="2.0.0", sdl=LESS)
    (refused,) = (await push(broken)).outcomes
    ask_for = {"bundle": as_rest(broken), "reason": "switched off on Friday"}
    planner = await rest("planner", "POST", "/overrides", json=ask_for)
    status, asked = await rest("author", "POST", "/overrides", json=ask_for)
    own = await rest("author", "POST", f"/overrides/{asked['id']}/approve")
    too_early = (await push(broken)).outcomes[0].state
    approved = await rest("reviewer", "POST", f"/overrides/{asked['id']}/approve")
    (accepted,) = (await push(broken)).outcomes
    entries = (await ask("author", "ListAudit", pb.ListAuditRequest())).entries

    assert (named[0], service[0]) == (204, 400)
    (finding,) = refused.findings
    assert (refused.state, finding.code) == (REFUSED, "FIELD_REMOVED")
    (consumer,) = finding.consumers
    assert (consumer.name, consumer.team, list(consumer.parts)) == (
        "erp-app",
        "Finance",
        ["Pump.since"],
    )
    assert finding.HasField("looked_since")
    assert consumer.HasField("last_at")
    assert (planner[0], status, own[0], too_early) == (403, 200, 403, REFUSED)
    assert approved[0] == 200
    assert approved[1]["requested_by"] != approved[1]["approved_by"]
    assert (accepted.state, [f.severity for f in accepted.findings]) == (
        ACTIVE,
        [contract_pb2.SEVERITY_WARNING],
    )
    told = [(e.action, e.outcome) for e in entries if "override" in e.action]
    assert ("contract.override.request", "ACCEPTED") in told
    assert ("contract.override.approve", "REFUSED") in told
    assert ("contract.override.approve", "ACCEPTED") in told


async def test_owners_of_clients_are_told_what_is_deprecated(
    rest, push, bundle, report_use, bus, subgraph
):
    own = wire.bundle_from_pb(Contract.load("governance").to_pb(subgraph_url="http://g/graphql"))
    await push(own, bundle(sdl=LESS))
    await report_use(1, "Pump.state")
    heard = asyncio.get_running_loop().create_future()

    async def hear(message):
        heard.set_result(message.data)

    await bus.client.subscribe("tm.acme.governance.contract.deprecated.v1", cb=hear)
    (outcome,) = (await push(bundle(version="1.1.0", sdl=MARKED))).outcomes
    event = ContractDeprecated.FromString(await asyncio.wait_for(heard, 20))
    _, (listed,) = await rest("planner", "GET", "/deprecations?service=pump-twin")
    _, (elsewhere,) = await rest("outsider", "GET", "/deprecations?service=pump-twin")
    _, abroad = await rest("outsider", "GET", "/contracts/pump-twin/uses")
    query = (
        "{ contracts { nodes { service consumers { name parts } deployments { version } "
        "models { name } deprecations { coordinate consumers { name } } } } "
        "contractOverrides(first: 5) { nodes { id } } }"
    )
    graph = await subgraph("planner", query)

    assert outcome.state == ACTIVE
    assert (event.coordinate, event.client, event.reason) == ("Pump.state", "erp-app", "old")
    assert (listed["coordinate"], listed["consumers"][0]["name"]) == ("Pump.state", "erp-app")
    assert listed["removal_from"] > listed["since"]
    assert (elsewhere["consumers"], abroad["uses"]) == ([], [])
    own, pump = graph["contracts"]["nodes"]
    assert pump == {
        "service": "pump-twin",
        "consumers": [{"name": "erp-app", "parts": ["Pump.state"]}],
        "deployments": [],
        "models": [],
        "deprecations": [{"coordinate": "Pump.state", "consumers": [{"name": "erp-app"}]}],
    }
    assert graph["contractOverrides"]["nodes"] == []


async def test_the_supergraph_follows_what_is_deployed_and_ready(
    rest, push, bundle, read_kv, report_use
):
    await push(bundle(sdl=LESS))
    await push(bundle(version="1.1.0", sdl=FULL))

    async def record(version, state, **more):
        body = {"environment": "local", "service": "pump-twin", "version": version, "state": state}
        return await rest("twinmesh-ci", "POST", "/deployments", json=body | more)

    async def routed():
        return "since" in (await rest("planner", "GET", "/supergraph"))[1]["sdl"]

    registered = await routed()
    first = await record("1.0.0", "READY")
    old_only = await routed()
    await record("1.1.0", "STARTING")
    starting = await routed()
    await record("1.1.0", "READY")
    both = await routed()
    last = await record("1.1.0", "READY", retire_others=True)
    new_only = await routed()
    repeated = await record("1.1.0", "READY", retire_others=True)
    rollback = await rest("planner", "GET", "/can-i-deploy/pump-twin/1.0.0?to=local")
    await report_use(1, "Pump.since")
    used = await rest("twinmesh-ci", "GET", "/can-i-deploy/pump-twin/1.0.0?to=local")
    unnamed = await rest("outsider", "GET", "/can-i-deploy/pump-twin/1.0.0?to=local")
    nowhere = await rest("planner", "GET", "/can-i-deploy/pump-twin/1.0.0?to=prod")
    unknown = await rest("planner", "GET", "/can-i-deploy/pump-twin/9.0.0?to=local")
    forbidden = await rest(
        "planner",
        "POST",
        "/deployments",
        json={"environment": "x", "service": "a", "version": "1.0.0", "state": "READY"},
    )
    missing = await record("9.0.0", "READY")
    listed = await rest("planner", "GET", "/deployments?environment=local")
    entry = await read_kv("contracts", "active.pump-twin")

    assert [registered, old_only, starting, both, new_only] == [True, False, False, False, True]
    assert (first[0], last[1]["changed"], repeated[1]["changed"]) == (200, True, False)
    assert (rollback[1]["verdict"], rollback[1]["reasons"][0]["code"]) == (
        "unknown",
        "FIELD_REMOVED",
    )
    assert (used[1]["verdict"], unnamed[1]["verdict"]) == ("no", "no")
    assert used[1]["reasons"][0]["consumers"][0]["name"] == "erp-app"
    assert "erp-app" not in json.dumps(unnamed[1])
    assert (nowhere[1]["verdict"], unknown[1]["verdict"]) == ("unknown", "no")
    assert (forbidden[0], missing[0]) == (403, 412)
    assert {d["version"]: d["state"] for d in listed[1]} == {"1.0.0": "RETIRED", "1.1.0": "READY"}
    assert len(entry["accepted"]) == 2
