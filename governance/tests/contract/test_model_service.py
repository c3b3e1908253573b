"""Released models through governance's doors: artefacts, lineage, recalls, alarms."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance import app, wire
from governance.settings import GovernanceSettings
from twinmesh.governance.v1 import (
    consumption_pb2,
    contract_pb2,
    model_events_pb2,
    model_pb2,
)
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import model_service_pb2 as model_pb
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh.governance.v1.model_service_pb2_grpc import ModelServiceStub
from twinmesh_sdk.adapters.nats import KvMirror, MeshNats, ModelSnapshot
from twinmesh_sdk.adapters.nats.artefacts import load_artefact
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.consumption import Derivation, Output, OutputState
from twinmesh_sdk.core.errors import PreconditionFailedError
from twinmesh_sdk.core.events import Envelope, EventType, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.testing.mesh import running, settings_for
from twinmesh_sdk.wire import timestamp

pytestmark = pytest.mark.stack
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ARTEFACT = b'{"baseline_rows": 400}'
DIGEST = f"sha256:{hashlib.sha256(ARTEFACT).hexdigest()}"
NAMED = {"name": "pump-condition", "version": "1.0.0"}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
OPENED = EventType("maintenance.work_item.opened.v1")


@pytest.fixture
async def service(database_url, issuer, private_nats):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        model_key=KEY.private_bytes_raw().hex(),
        recall_wait_s=1.0,
    )
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
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
        stubs = (GovernanceServiceStub(channel), ModelServiceStub(channel))

        async def call(who, method, request):
            stub = next(stub for stub in stubs if hasattr(stub, method))
            metadata = (("authorization", f"Bearer {issuer.token(who)}"),)
            return await getattr(stub, method)(request, metadata=metadata, timeout=20)

        yield call


def submission(**more):
    return pb.SubmitModelRequest(
        **NAMED,
        scope=model_pb2.ModelScope(
            asset_classes=["pump"],
            envelope=[model_pb2.ModelBound(signal="flow", low=0.0, high=0.1)],
        ),
        back_test=model_pb2.BackTest(
            reference="bt",
            metric="RMSE",
            achieved=0.1,
            threshold=0.2,
            baseline="age only",
            baseline_achieved=0.5,
            lower_is_better=True,
        ),
        training_data="none: a test",
        **more,
    )


@pytest.fixture
async def active(ask):
    """A version that is active since long ago."""
    await ask("author", "SubmitModel", submission(artefact=ARTEFACT))
    await ask("reviewer", "ApproveModel", pb.ApproveModelRequest(**NAMED))
    await ask(
        "reviewer",
        "ActivateModel",
        pb.ActivateModelRequest(**NAMED, effective_from=timestamp(LONG_AGO)),
    )


def item(version=1, state=OutputState.OPEN):
    output = Output("WorkItem", "wki_1", version, "pump-condition", "1.0.0")
    derivation = Derivation(output, state, "cfg_1", "sha256:00")
    now = datetime.now(UTC)
    return Envelope(
        f"evt_{version}", OPENED, "maintenance-twin", Tenant("acme"), "ast_1", now, b"",
        derivation=derivation,
    )  # fmt: skip


async def announce(bus, event):
    headers = headers_of(event, dataschema="x#y", traceparent="")
    await bus.publish(subject_of(event.tenant, event.type), b"x", headers=headers)


async def beat(bus, instance="a", *, versions=("1.0.0",), withdrawn=(), ago_s=0.0):
    now = datetime.now(UTC) - timedelta(seconds=ago_s)
    said = {
        "at": format_time(now),
        "models": {
            "pump-condition": {
                "running": {"acme": {"plant_at": format_time(now), "versions": list(versions)}},
                "withdrawn": list(withdrawn),
            }
        },
    }
    await (await bus.kv("replicas")).put(f"maintenance-twin.{instance}", json.dumps(said).encode())


async def until(find):
    async with asyncio.timeout(20):
        while not (found := await find()):  # noqa: ASYNC110 - what it waits for is elsewhere
            await asyncio.sleep(0.05)
    return found


async def test_what_was_approved_is_what_a_twin_loads(active, ask, bus):
    models = KvMirror(bus, "models")
    following = asyncio.create_task(models.run())
    await models.wait_synced()
    snapshot = ModelSnapshot(models)
    try:
        (scheduled,) = await until(lambda: asyncio.sleep(0, snapshot.schedule("pump-condition")))
        key = snapshot.public_key()
        assert key == KEY.public_key().public_bytes_raw().hex()
        assert await load_artefact(bus, scheduled, public_key=key) == ARTEFACT
        assert scheduled.scope["envelope"] == [{"signal": "flow", "low": 0.0, "high": 0.1}]
        held = await ask("erp-app", "GetArtefact", model_pb.GetArtefactRequest(**NAMED))
        assert (held.artefact, held.digest, held.signed) == (ARTEFACT, DIGEST, scheduled.signature)

        other = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
        with pytest.raises(PreconditionFailedError, match="nobody vouches"):
            await load_artefact(bus, scheduled, public_key=other)
        objects = await bus.objects("bundles")
        await objects.put(f"artefact-{DIGEST.removeprefix('sha256:')}", b"another")
        with pytest.raises(PreconditionFailedError, match="not the one that was approved"):
            await load_artefact(bus, scheduled, public_key=key)
    finally:
        following.cancel()


async def test_without_its_artefact_nothing_is_approved(ask):
    await ask("author", "SubmitModel", submission(artefact_digest=DIGEST))

    with pytest.raises(grpc.aio.AioRpcError, match="never handed in") as refused:
        await ask("reviewer", "ApproveModel", pb.ApproveModelRequest(**NAMED))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    await ask("author", "SubmitModel", submission(artefact_digest=DIGEST, artefact=ARTEFACT))
    answer = await ask("reviewer", "ApproveModel", pb.ApproveModelRequest(**NAMED))
    assert answer.model.state == model_pb2.MODEL_STATE_APPROVED


async def test_an_artefact_with_another_digest_is_refused(ask):
    request = submission(artefact_digest="sha256:" + "0" * 64, artefact=ARTEFACT)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask("author", "SubmitModel", request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
async def announced(ask, bundle, protos):
    """The contract under which a twin announces its work items."""
    made = bundle(
        "maintenance-twin",
        descriptors=protos("twinmesh.maintenance.v1", WorkItemOpened=["work_item_id"]),
        events=[(OPENED, "twinmesh.maintenance.v1.WorkItemOpened")],
        protos=["twinmesh.maintenance.v1"],
    )
    request = pb.PushContractsRequest(bundles=[wire.bundle_to_pb(made)])
    (outcome,) = (await ask("twinmesh-ci", "PushContracts", request)).outcomes
    assert outcome.state == contract_pb2.CONTRACT_STATE_ACTIVE, outcome


async def test_a_recall_tells_what_stands_and_waits_for_who_runs_it(
    active, announced, ask, bus, service, issuer
):
    await announce(bus, item())
    report = consumption_pb2.ConsumptionReport(reporter="gateway", instance="i", sequence=1)
    now = timestamp(datetime.now(UTC))
    report.receipts.add(
        client="erp-app",
        door=consumption_pb2.DOOR_GATEWAY,
        output_type="WorkItem",
        output_id="wki_1",
        output_version=1,
        model="pump-condition",
        model_version="1.0.0",
        first_at=now,
        last_at=now,
        count=1,
    )
    await bus.publish("use.acme.gateway", report.SerializeToString())

    async def both():
        found = await ask("erp-app", "GetModelImpact", model_pb.GetModelImpactRequest(**NAMED))
        return found if found.outputs and found.receipts else None

    assert (await until(both)).outputs[0].state == "OPEN"
    stranger = await ask("outsider", "GetModelImpact", model_pb.GetModelImpactRequest(**NAMED))
    assert not stranger.outputs
    assert not stranger.receipts

    await beat(bus)
    await beat(bus, "gone", ago_s=60)
    request = model_pb.RecallModelRequest(**NAMED, reason="leaked labels")
    with pytest.raises(grpc.aio.AioRpcError):
        await ask("erp-app", "RecallModel", request)
    first = await ask("reviewer", "RecallModel", request)
    assert (first.changed, list(first.waiting_for)) == (True, ["maintenance-twin"])
    assert [o.output_id for o in first.outputs] == ["wki_1"]
    assert [r.client for r in first.receipts] == ["erp-app"]
    await beat(bus, withdrawn=["1.0.0"])
    again = await ask("reviewer", "RecallModel", request)
    assert (again.changed, list(again.acknowledged_by)) == (False, ["maintenance-twin"])

    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await ask("erp-app", "GetModelAt", pb.GetModelAtRequest(name="pump-condition"))
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND
    told = json.loads((await (await bus.kv("models")).get("recalled.pump-condition")).value)
    assert told["versions"][0]["reason"] == "leaked labels"
    bundle = Contract.load("governance").to_pb(subgraph_url="http://g/graphql")
    await ask("twinmesh-ci", "PushContracts", pb.PushContractsRequest(bundles=[bundle]))
    subscription = await bus.js.pull_subscribe("tm.acme.governance.model.recalled.v1", durable="t")
    (event,) = await subscription.fetch(1, timeout=20)
    assert model_events_pb2.ModelRecalled.FromString(event.data).version == "1.0.0"

    await announce(bus, item(2, OutputState.WITHDRAWN))
    query = """query($keys: [_Any!]!) {
      _entities(representations: $keys) { ... on Asset { lineage { id state inputsDigest } } }
      modelImpact(name: "pump-condition", version: "1.0.0") { outputs { state } receipts { door } }
    }"""
    keys = [{"__typename": "Asset", "id": i} for i in ("ast_1", "ast_2")]

    async def marked():
        headers = {"authorization": f"Bearer {issuer.token('erp-app')}"}
        url = f"http://127.0.0.1:{service.http_port}"
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            body = {"query": query, "variables": {"keys": keys}}
            data = (await client.post("/graphql", json=body)).json()["data"]
            rest = (await client.get("/v1/models/pump-condition/1.0.0/impact")).json()
        first, second = data["_entities"]
        assert second["lineage"] == []
        assert data["modelImpact"]["receipts"] == [{"door": "GATEWAY"}]
        assert rest["receipts"][0]["client"] == "erp-app"
        return first["lineage"][0]["state"] == "WITHDRAWN" and rest["outputs"][0]["state"]

    assert await until(marked) == "WITHDRAWN"


async def test_a_process_that_lags_raises_an_alarm_for_its_tenant_alone(active, ask, bus):
    await beat(bus, versions=["0.9.0"])
    await asyncio.sleep(2.5)  # a heartbeat right after a decision may not know it yet
    await beat(bus, "good")
    await beat(bus, versions=["0.9.0"])

    async def raised():
        found = await ask("erp-app", "ListModelAlarms", model_pb.ListModelAlarmsRequest())
        return list(found.alarms)

    (alarm,) = await until(raised)
    assert (alarm.service, alarm.instance) == ("maintenance-twin", "a")
    assert (list(alarm.running), list(alarm.expected)) == (["0.9.0"], ["1.0.0"])
    others = await ask("outsider", "ListModelAlarms", model_pb.ListModelAlarmsRequest())
    assert not others.alarms

    await beat(bus)
    await until(lambda: _none(raised))


async def _none(ask):
    return not await ask()


async def test_only_who_may_says_that_something_was_exported(ask):
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(
            "erp-app",
            "RecordExports",
            model_pb.RecordExportsRequest(
                instance="a",
                sequence=1,
                receipts=[
                    consumption_pb2.Receipt(
                        client="cmms",
                        door=consumption_pb2.DOOR_EXPORT,
                        output_type="WorkItem",
                        output_id="wki_1",
                        first_at=timestamp(LONG_AGO),
                        last_at=timestamp(LONG_AGO),
                        count=1,
                    )
                ],
            ),
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
