"""Charters held against what telemetry and twins really say, on the real stores."""

import asyncio
import json
from datetime import timedelta

import grpc
import httpx
import pytest
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from governance import app, wire
from governance.adapters.event_counter import NatsEventCounter
from governance.adapters.memory import MemoryRegistry
from governance.adapters.migration import migrate
from governance.adapters.postgres.reality import PostgresReality
from governance.adapters.tables import OUTBOX
from governance.model.contracts import Contract, ContractState
from governance.model.reality import Kind, Measure, Report, Standing, Told
from governance.settings import GovernanceSettings
from governance.usecases.reality import JudgeCharters
from twinmesh.core.v1 import trust_pb2
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import reality_service_pb2
from twinmesh.governance.v1.governance_service_pb2_grpc import GovernanceServiceStub
from twinmesh.governance.v1.reality_service_pb2_grpc import RealityServiceStub
from twinmesh.telemetry.v1 import events_pb2
from twinmesh_cli.main import cli
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.contract import Contract as Served
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.events import Envelope, EventType, event_id, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import START, SimulatedClock
from twinmesh_sdk.testing.mesh import running, settings_for
from twinmesh_sdk.wire import timestamp

pytestmark = pytest.mark.stack

ACME = Tenant("acme")
VERDICT = EventType("telemetry.verdict.changed.v1")


def minutes(number):
    return timedelta(minutes=number)


def told(signal, within, at, decision="trip", tenant="acme"):
    return Told(tenant, signal, decision, within, START + minutes(at))


@pytest.fixture
async def engine(database_url):
    engine = create_async_engine(database_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def store(engine):
    return PostgresReality(engine)


async def test_the_share_within_budget_is_of_signal_time_in_the_last_day(store):
    for each in (
        told("a", True, 0), told("a", False, 60), told("a", True, 90),
        told("b", True, 0), told("c", None, 0), told("d", True, 0, tenant="globex"),
    ):  # fmt: skip
        assert await store.told(each)

    shares = await store.shares(ACME, START + minutes(120))
    assert shares["trip"].achieved == pytest.approx((60 + 30 + 120) / 240)
    assert shares["trip"].samples == 2
    assert await store.coverage(ACME) == {"trip": Measure(1.0, 2)}
    day_later = await store.shares(ACME, START + minutes(120 + 24 * 60))
    assert day_later["trip"].achieved == 1.0


async def test_verdicts_that_come_again_or_late_change_nothing(store):
    await store.told(told("a", True, 0))
    await store.told(told("a", False, 60))
    before = await store.shares(ACME, START + minutes(120))

    assert not await store.told(told("a", False, 60))
    assert not await store.told(told("a", True, 30))
    assert await store.shares(ACME, START + minutes(120)) == before


async def test_the_newest_report_replaces_an_earlier_one(store, now):
    for value in (0.5, 0.8):
        await store.reported(Report("acme", "pump-twin", "recall", value, 16, now))

    assert [r.value for r in await store.reports(ACME, now)] == [0.8]
    assert await store.reports(ACME, now + minutes(1)) == []
    assert await store.tenants() == [ACME]


class Counter:
    """Says how many events there were."""

    def __init__(self):
        self.count = 3

    async def counts(self, types, since):
        return {ACME: self.count}


@pytest.fixture
async def judged(store, bundle, protos):
    registry, clock, counter = MemoryRegistry(), SimulatedClock(), Counter()
    made = bundle(
        freshness=[{"decision": "trip", "budget_s": 60}],
        promises={
            "freshness_share": 0.9,
            "events_per_day": {"at_least": 1},
            "fidelity": {"metric": "recall", "at_least": 0.75},
        },
        descriptors=protos(Opened=["id"]),
        events=[("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")],
    )
    async with registry.exclusive() as session:
        await session.save_contracts([Contract(made, ContractState.ACTIVE, START, "ci", ())])
    judge = JudgeCharters(registry, store, counter, clock, patience=minutes(5))

    async def run(after=0):
        clock.advance(60 * after)
        turned = await judge()
        standings = {
            (r.promise.kind, r.promise.name): r.standing for r in await store.standings(ACME)
        }
        return turned, standings

    run.store, run.counter, run.judge = store, counter, judge
    return run


async def test_a_breach_is_told_once_to_the_owner_and_so_is_its_end(judged, engine):
    await judged.store.told(told("a", True, 0))
    assert await judged(10) == (
        0,
        {
            (Kind.FRESHNESS, "trip"): Standing.KEPT,
            (Kind.COVERAGE, "trip"): Standing.UNPROMISED,
            (Kind.VOLUME, "events"): Standing.KEPT,
            (Kind.FIDELITY, "recall"): Standing.UNMEASURED,
        },
    )
    await judged.store.told(told("a", False, 10))
    assert (await judged(10))[0] == 0
    turned, standings = await judged(5)
    assert turned == 1
    assert standings[Kind.FRESHNESS, "trip"] is Standing.BREACHED
    assert (await judged(5))[0] == 0

    await judged.store.told(told("a", True, 31))
    assert (await judged(24 * 60))[0] == 0
    turned, standings = await judged(5)
    assert turned == 1
    assert standings[Kind.FRESHNESS, "trip"] is Standing.KEPT

    async with engine.connect() as connection:
        rows = (await connection.execute(select(OUTBOX).order_by(OUTBOX.c.id))).mappings().all()
    assert [r["type"] for r in rows] == [
        "governance.charter.breached.v1", "governance.charter.restored.v1",
    ]  # fmt: skip
    said = reality_service_pb2.CharterTurned.FromString(rows[0]["data"])
    assert (said.team, said.contact, said.on_call) == (
        "team pump-twin", "a@example.com", "b@example.com",
    )  # fmt: skip
    assert said.reality.at_least == 0.9
    assert said.reality.achieved < 0.9
    assert rows[0]["subject"] == "pump-twin"


async def test_silence_of_a_publisher_is_a_breach(judged):
    await judged()
    judged.counter.count = 0
    await judged(1)
    turned, standings = await judged(5)

    assert turned == 1
    assert standings[Kind.VOLUME, "events"] is Standing.BREACHED


async def test_two_processes_that_judge_at_once_tell_once(judged, engine):
    await judged()
    judged.counter.count = 0
    await judged(1)
    results = await asyncio.gather(judged(5), judged(0), return_exceptions=True)

    assert all(isinstance(r, tuple | ConflictError) for r in results)
    async with engine.connect() as connection:
        assert len((await connection.execute(select(OUTBOX.c.id))).all()) == 1


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as bus:
        await ensure_streams(bus)
        yield bus


async def test_events_are_counted_by_tenant_since_a_time(bus):
    for subject in (
        "tm.acme.a.b.c.v1",
        "tm.acme.a.b.c.v1",
        "tm.globex.a.b.d.v1",
        "tm.acme.x.y.z.v1",
    ):
        await bus.publish(subject, b"")
    now = (await bus.js.get_msg("EVENTS", 1)).time
    counter = NatsEventCounter(bus)

    assert await counter.counts(["a.b.c.v1", "a.b.d.v1"], now) == {"acme": 2, "globex": 1}
    assert await counter.counts(["a.b.c.v1"], now + timedelta(hours=1)) == {"acme": 0}
    assert await counter.counts(["n.o.ne.v1"], now) == {}


def verdict(signal, current, version):
    message = events_pb2.VerdictChanged(
        signal_id=signal, decision="trip", current=current, effective_at=timestamp(START)
    )
    return Envelope(
        id=event_id(tenant=ACME, type=VERDICT, aggregate_id=signal, aggregate_version=version),
        type=VERDICT, source="telemetry", tenant=ACME, subject="ast", time=START,
        data=message.SerializeToString(),
    )  # fmt: skip


async def test_a_breach_reaches_api_graph_command_line_and_bus(
    database_url, issuer, private_nats, bus, bundle
):
    settings = settings_for(
        GovernanceSettings,
        nats_url=private_nats.url,
        issuer=issuer.url,
        nats_user=private_nats.user,
        nats_password=private_nats.password,
        database_url=database_url,
        client_id="svc-governance",
        client_secret=issuer.secrets["svc-governance"],
        reality_s=0.1,
        reality_patience_s=0.0,
    )
    telemetry = Served.load("telemetry")
    pushed = [
        telemetry.to_pb(subgraph_url="http://t/graphql"),
        Served.load("governance").to_pb(subgraph_url="http://g/graphql"),
        Served.load("asset_registry").to_pb(subgraph_url="http://a/graphql"),
        wire.bundle_to_pb(
            bundle(
                freshness=[{"decision": "trip", "budget_s": 60}], promises={"coverage_share": 0.9}
            )
        ),
    ]
    async with running(app.build(settings)) as service:
        metadata = (("authorization", f"Bearer {issuer.token('twinmesh-ci')}"),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:
            answer = await GovernanceServiceStub(channel).PushContracts(
                pb.PushContractsRequest(bundles=pushed), metadata=metadata
            )
        assert all(o.state == 1 for o in answer.outcomes), answer
        heard = await bus.js.pull_subscribe("tm.acme.governance.charter.breached.v1", "test")
        envelope = verdict("sig_a", trust_pb2.VERDICT_STALE, 1)
        await bus.publish(
            subject_of(ACME, VERDICT),
            envelope.data,
            headers=headers_of(
                envelope, dataschema=telemetry.event_schemas[VERDICT].dataschema, traceparent=""
            ),
        )
        message = (await heard.fetch(1, timeout=20))[0]
        said = reality_service_pb2.CharterTurned.FromString(message.data)
        assert (said.reality.service, said.reality.achieved) == ("pump-twin", 0.0)

        address = f"http://127.0.0.1:{service.http_port}"
        headers = {"authorization": f"Bearer {issuer.token('author')}"}
        async with httpx.AsyncClient(base_url=address, headers=headers) as http:
            listed = (await http.get("/v1/reality", params={"service": "pump-twin"})).json()
            query = "{contracts{nodes{service reality{kind name standing achieved atLeast}}}}"
            graph = (await http.post("/graphql", json={"query": query})).json()
        coverage = next(each for each in listed if each["kind"] == "COVERAGE")
        assert (coverage["standing"], coverage["achieved"]) == ("BREACHED", 0.0)
        nodes = {n["service"]: n["reality"] for n in graph["data"]["contracts"]["nodes"]}
        assert {
            "kind": "COVERAGE", "name": "trip", "standing": "BREACHED", "achieved": 0.0,
            "atLeast": 0.9,
        } in nodes["pump-twin"]  # fmt: skip

        async def run(*arguments):
            environment = {
                "TWIN_GOVERNANCE_ADDR": f"127.0.0.1:{service.grpc_port}",
                "TWIN_TOKEN": issuer.token("author"),
            }
            return await asyncio.to_thread(
                CliRunner().invoke, cli, ["charter", "reality", *arguments], env=environment
            )

        shown = await run("pump-twin", "--check")
        assert shown.exit_code == 1
        assert "BREACHED" in shown.output
        assert json.loads((await run("nobody", "--json")).output) == []

        async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc_port}") as channel:

            async def report(who, name):
                await RealityServiceStub(channel).ReportMeasure(
                    reality_service_pb2.ReportMeasureRequest(
                        service=name, metric="recall", value=0.8, samples=16
                    ),
                    metadata=(
                        ("authorization", f"Bearer {issuer.token(who)}"), ("tm-tenant", "acme"),
                    ),
                )  # fmt: skip

            await report("svc-telemetry", "telemetry")
            for who, name in (("svc-telemetry", "pump-twin"), ("author", "telemetry")):
                with pytest.raises(grpc.aio.AioRpcError, match="PERMISSION_DENIED"):
                    await report(who, name)
