"""A shadow's whole way on real servers: it is measured on live readings, takes over, falls back.

Governance and the maintenance twin are the real ones, on a real bus and real databases; the test
stands in for telemetry and for the asset registry.
"""

import asyncio
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from governance import app as governance_app
from governance.settings import GovernanceSettings
from maintenance_twin import app as maintenance_app
from maintenance_twin.model.tuning import DEFAULT
from maintenance_twin.settings import Settings as MaintenanceSettings
from twinmesh.assets.v1 import asset_registry_service_pb2 as registry_pb
from twinmesh.assets.v1 import asset_registry_service_pb2_grpc as registry_grpc
from twinmesh.assets.v1 import model_pb2 as asset_pb
from twinmesh.core.v1 import interval_pb2
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import model_pb2, model_service_pb2, shadow_service_pb2
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh.governance.v1.model_service_pb2_grpc import ModelServiceStub
from twinmesh.governance.v1.shadow_service_pb2_grpc import ShadowServiceStub
from twinmesh.telemetry.v1 import readings_pb2
from twinmesh.twin.v1 import model_measured_pb2
from twinmesh_cli.model import model as model_command
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.contract import Contract, descriptor_set, event_schema_digest
from twinmesh_sdk.core.events import Envelope, EventType, event_id
from twinmesh_sdk.core.ids import Tenant, partition_of
from twinmesh_sdk.core.times import OPEN_US, to_us
from twinmesh_sdk.testing.mesh import running, settings_for
from twinmesh_sdk.wire import timestamp, timestamp_us

pytestmark = pytest.mark.stack

PUMP = "ast_" + "0" * 26
CFG = "cfg_" + "0" * 26
SERVICES = ("asset_registry", "telemetry", "maintenance_twin", "energy_twin", "governance")
SIGNALS = (("flow", "m3/s", 0.02), ("power", "W", 9_000.0), ("pressure", "Pa", 4e5))
CADENCE_S = 5
SECONDS = 16_000
START = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=SECONDS + 600)
# Neither alarms; they differ in how closely the expected level follows the machine.
STIFF = replace(DEFAULT, baseline_rows=100, least_spread=1e3, reference_s=1e5)
SUPPLE = replace(STIFF, reference_s=301.0)


class OnePump(registry_grpc.AssetRegistryServiceServicer):
    """Answers as the asset registry does, about one pump."""

    async def GetAssets(self, request, context):
        asset = asset_pb.Asset(asset_id=PUMP, name="P-1", asset_class="pump")
        return registry_pb.GetAssetsResponse(assets=[asset])

    async def ListSignals(self, request, context):
        return registry_pb.ListSignalsResponse(
            signals=[
                asset_pb.SignalDefinition(
                    signal_id=f"sig_{index:026d}",
                    asset_id=PUMP,
                    name=name,
                    unit=unit,
                    cadence_s=CADENCE_S,
                    kind="gauge",
                )
                for index, (name, unit, _) in enumerate(SIGNALS)
            ]
        )

    async def ListConfigurations(self, request, context):
        version = asset_pb.ConfigurationVersion(
            configuration_id=CFG,
            asset_id=PUMP,
            interval=interval_pb2.Bitemporal(
                valid_from=timestamp_us(0), valid_to=timestamp_us(OPEN_US)
            ),
        )
        return registry_pb.ListConfigurationsResponse(configurations=[version])


def batches():
    """Return readings, as telemetry publishes them, of a pump whose level wanders by 4 %."""
    random = np.random.default_rng(7)
    seconds = np.arange(0, SECONDS, CADENCE_S)
    wander = 0.02 * (1.0 - np.cos(2.0 * np.pi * np.maximum(seconds - 600, 0) / 7200.0))
    columns = [
        level * (1.0 + wander + 0.005 * random.standard_normal(seconds.size))
        for _, _, level in SIGNALS
    ]
    stamps = to_us(START) + seconds * 1_000_000
    for first in range(0, seconds.size, 100):
        part = slice(first, first + 100)
        observed = np.repeat(stamps[part], len(SIGNALS)).astype("<i8")
        values = np.column_stack([column[part] for column in columns]).reshape(-1)
        yield readings_pb2.ReadingBatch(
            tenant="acme",
            partition=partition_of(PUMP, 4),
            asset_ids=[PUMP],
            signals=[
                readings_pb2.SignalRef(
                    signal_id=f"sig_{i:026d}", asset_index=0, name=name, unit=unit
                )
                for i, (name, unit, _) in enumerate(SIGNALS)
            ],
            signal_index_u32=np.tile(
                np.arange(len(SIGNALS), dtype="<u4"), observed.size // len(SIGNALS)
            ).tobytes(),
            observed_at_us_i64=observed.tobytes(),
            value_f64=values.astype("<f8").tobytes(),
            arrived_at_us_i64=observed.tobytes(),
        ).SerializeToString()


class Governed:
    """Governance, asked as somebody."""

    def __init__(self, service, issuer):
        self._service = service
        self._issuer = issuer

    def _headers(self, who):
        return (("authorization", f"Bearer {self._issuer.token(who)}"),)

    async def call(self, who, stub, method, request):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._service.grpc_port}") as channel:
            return await getattr(stub(channel), method)(
                request, metadata=self._headers(who), timeout=20
            )

    async def release(self, version, tuning):
        request = pb.SubmitModelRequest(
            name="pump-condition",
            version=version,
            artefact=json.dumps(asdict(tuning)).encode(),
            scope=model_pb2.ModelScope(asset_classes=["pump"]),
            back_test=model_pb2.BackTest(
                reference="bt", metric="found", achieved=0.9, threshold=0.8,
                baseline="none", baseline_achieved=0.1,
            ),
            training_data="none: a test",
        )  # fmt: skip
        named = {"name": "pump-condition", "version": version}
        await self.call("author", GovernanceServiceStub, "SubmitModel", request)
        approve = pb.ApproveModelRequest(**named)
        await self.call("reviewer", GovernanceServiceStub, "ApproveModel", approve)
        return named

    async def twinmesh(self, *words):
        """Run a command of `twinmesh model` as the author; returns its exit code and output."""
        address = f"127.0.0.1:{self._service.grpc_port}"
        door = ["--governance", address, "--token", self._issuer.token("author")]
        done = await asyncio.to_thread(CliRunner().invoke, model_command, [*words, *door])
        return done.exit_code, done.output

    async def graph(self, query):
        url = f"http://127.0.0.1:{self._service.http_port}/graphql"
        async with httpx.AsyncClient(timeout=20) as client:
            headers = dict(self._headers("planner"))
            answer = (await client.post(url, json={"query": query}, headers=headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]["model"]


async def measured(bus, version, start, *, error, residual):
    """Announce a window as the maintenance twin does."""
    kind, message = EventType("maintenance.model.measured.v1"), "twinmesh.twin.v1.ModelMeasured"
    said = model_measured_pb2.ModelMeasured(
        asset_id=PUMP,
        model="pump-condition",
        version=version,
        window_from=timestamp(start),
        window_to=timestamp(start + timedelta(minutes=10)),
        rows=100,
        mean_square=error,
        mean_residual=residual,
    )
    tenant = Tenant("acme")
    event = Envelope(
        id=event_id(tenant=tenant, type=kind, aggregate_id=PUMP, aggregate_version=to_us(start)),
        type=kind,
        source="maintenance-twin",
        tenant=tenant,
        subject=PUMP,
        time=start,
        data=said.SerializeToString(),
    )
    digest = event_schema_digest(descriptor_set(["twinmesh.twin.v1"]), message)
    await bus.publish(
        f"tm.acme.{kind}",
        event.data,
        headers=headers_of(event, dataschema=f"{message}#{digest}", traceparent=""),
        message_id=event.id,
    )


@pytest.fixture
async def governed(private_nats, database_url, issuer):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        model_key=bytes(range(32)).hex(),
        promotion_least_windows=8,
        promotion_least_span_s=3600,
        drift_learned_windows=10,
        model_judge_s=0.2,
    )
    async with running(governance_app.build(settings)) as service:
        yield Governed(service, issuer)


@pytest.fixture
async def registry_address():
    server = grpc.aio.server()
    registry_grpc.add_AssetRegistryServiceServicer_to_server(OnePump(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture
def second_database_url(postgres_server):
    url = postgres_server.make_database()
    yield url
    postgres_server.drop_database(url)


LIVE = """{ model(name: "pump-condition", version: "1.1.0") {
  state effectiveFrom
  shadow { champion pairs windows meanDifference interval disagreement decision reasons }
  rulings { kind against why carriedOut }
} }"""


async def test_a_shadow_is_measured_takes_over_and_falls_back(
    governed, registry_address, private_nats, second_database_url, issuer
):
    bundles = [
        Contract.load(name).to_pb(subgraph_url=f"http://{name}/graphql") for name in SERVICES
    ]
    pushed = await governed.call(
        "twinmesh-ci", GovernanceServiceStub, "PushContracts", pb.PushContractsRequest(
            bundles=bundles
        ),
    )  # fmt: skip
    assert pushed.supergraph_digest
    champion = await governed.release("1.0.0", STIFF)
    await governed.call(
        "reviewer", GovernanceServiceStub, "ActivateModel",
        pb.ActivateModelRequest(**champion, effective_from=timestamp(START - timedelta(days=1))),
    )  # fmt: skip
    challenger = await governed.release("1.1.0", SUPPLE)
    await governed.call(
        "reviewer", ModelServiceStub, "ShadowModel",
        model_service_pb2.ShadowModelRequest(**challenger),
    )  # fmt: skip
    before = await governed.graph(LIVE)
    assert (before["state"], before["rulings"]) == ("SHADOW", [])
    assert [(s["champion"], s["decision"]) for s in before["shadow"]] == [("1.0.0", "CONTINUE")]

    settings = settings_for(
        MaintenanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=second_database_url,
        client_id="svc-maintenance-twin",
        client_secret=issuer.secrets["svc-maintenance-twin"],
        assets_addr=registry_address,
    )
    async with (
        running(maintenance_app.build(settings)),
        MeshNats(private_nats.url, user=private_nats.user, password=private_nats.password) as bus,
    ):
        for batch in batches():
            await bus.publish(f"tele.acme.{partition_of(PUMP, 4)}", batch)
        async with asyncio.timeout(60):
            while not (after := await governed.graph(LIVE))["rulings"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)

        assert after["state"] == "ACTIVE"
        assert after["rulings"] == [
            {"kind": "PROMOTED", "against": "1.0.0", "why": "EVIDENCE", "carriedOut": True}
        ]
        entry = json.loads((await (await bus.kv("models")).get("schedule.pump-condition")).value)
        periods = [(v["version"], v["effective_to"]) for v in entry["versions"]]
        assert [version for version, _ in periods] == ["1.0.0", "1.1.0"]
        assert periods[0][1] == after["effectiveFrom"]
        assert periods[1][1] is None
        listed = await governed.call(
            "planner", GovernanceServiceStub, "ListAudit", pb.ListAuditRequest()
        )
        promoted = [e for e in listed.entries if e.action == "model.promote"]
        assert [(e.actor, e.outcome, e.subject) for e in promoted] == [
            ("governance", "ACCEPTED", "pump-condition 1.1.0")
        ]

        # Then it errs: it falls back once, and the next version is asked for.
        start = datetime.fromisoformat(after["effectiveFrom"])
        for n in range(1, 20):
            await measured(bus, "1.1.0", start + n * timedelta(minutes=10), error=1e6, residual=-9)
        async with asyncio.timeout(30):
            while len((fallen := await governed.graph(LIVE))["rulings"]) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        assert fallen["state"] == "APPROVED"
        assert fallen["rulings"][1] == {
            "kind": "ROLLED_BACK", "against": "1.0.0", "why": "ERROR,DRIFT", "carriedOut": True,
        }  # fmt: skip
        entry = json.loads((await (await bus.kv("models")).get("active.pump-condition")).value)
        assert entry["version"] == "1.0.0"

    (request,) = (
        await governed.call(
            "author", ShadowServiceStub, "ListRetrainingRequests",
            shadow_service_pb2.ListRetrainingRequestsRequest(model="pump-condition"),
        )
    ).requests  # fmt: skip
    assert (request.version, request.answered_by) == ("1.1.0", "")
    draft = pb.SubmitModelRequest(
        name="pump-condition", version="1.2.0", artefact=b"{}", draft=True
    )
    await governed.call("author", GovernanceServiceStub, "SubmitModel", draft)
    code, said = await governed.twinmesh("retraining", "answer", request.id, "1.2.0")
    assert (code, said.split()[-3:]) == (0, ["answered", "by", "1.2.0"])
    code, said = await governed.twinmesh("live", "pump-condition", "1.1.0")
    assert code == 0
    assert "ROLLED_BACK against 1.0.0: ERROR,DRIFT" in said
