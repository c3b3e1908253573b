"""One suite for `AssetStore` and `OutboxStore`, on every engine that speaks Bolt."""

import asyncio
import itertools
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from asset_registry.adapters import neo4j_rows
from asset_registry.adapters.neo4j_graph import Graph, migrate
from asset_registry.adapters.neo4j_outbox import Neo4jOutbox
from asset_registry.adapters.neo4j_store import Neo4jAssetStore
from asset_registry.adapters.ulid_mint import UlidMint
from asset_registry.decide import NewAlias, Registration
from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    Interval,
    Lifecycle,
    RelationFact,
    RelationKind,
    SignalFact,
    Statement,
    Unchanged,
    Window,
)
from asset_registry.ports import AssetFilter, SignalFilter, Touch
from asset_registry.usecases import (
    AssignAlias,
    Configuring,
    DefineSignal,
    ImportPlant,
    RecordConfiguration,
    RecordRelation,
    RegisterAsset,
)
from twinmesh.assets.v1 import events_pb2
from twinmesh_local.testing import new_tenant
from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    UnavailableError,
)
from twinmesh_sdk.core.ids import SubjectToken, Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.times import OPEN_US, to_us

T0 = datetime(2026, 3, 1, tzinfo=UTC)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class SteppingClock:
    """A clock that tests move; it stands still between moves."""

    def __init__(self):
        self.wall = T0

    def wall_now(self):
        return self.wall

    def plant_now(self, tenant):
        return self.wall

    def speed(self, tenant):
        return 1.0


def us(minutes):
    return to_us(T0 + timedelta(minutes=minutes))


@dataclass
class Registry:
    """A store with the use cases that write to it, for one tenant."""

    store: Neo4jAssetStore
    outbox: Neo4jOutbox
    clock: SteppingClock
    tenant: Tenant

    def __post_init__(self):
        mint = UlidMint(self.clock)
        self.mint = mint
        self.register = RegisterAsset(self.store, mint)
        self.assign = AssignAlias(self.store)
        self.relate = RecordRelation(self.store)
        self.configure = RecordConfiguration(self.store, mint)
        self.define = DefineSignal(self.store)
        self.import_plant = ImportPlant(self.store, mint, self.clock)

    def caller(self, tenant=None, roles=("assets.write",), subject="ann"):
        return Principal(subject, "test", tenant or self.tenant, frozenset(roles))

    async def pump(self, name="P-101", at=0, **kwargs):
        command = Registration(
            name=name,
            asset_class="pump",
            valid_from_us=us(at),
            aliases=(NewAlias(AliasKey("plant", name)),),
            **kwargs,
        )
        return (await self.register(self.caller(), command)).record.fact.asset_id

    async def configured(self, asset_id, label, at, until=None, attributes="{}", **kwargs):
        return await self.configure(
            self.caller(**kwargs),
            Configuring(asset_id, label, attributes, us(at), None if until is None else us(until)),
        )

    async def configuration(self, asset_id, at, known=OPEN_US - 1):
        (found,) = await self.store.configurations(
            self.tenant, [(asset_id, Window(us(at), us(at) + 1, known))]
        )
        assert len(found) <= 1
        return found[0].fact.label if found else None

    async def events(self):
        entries = await self.outbox.pending(100_000)
        return [e.envelope for e in entries if e.envelope.tenant == self.tenant]


@pytest.fixture(params=["arcadedb", pytest.param("neo4j_server", marks=pytest.mark.neo4j)])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def graph(server):
    async with Graph(
        server.uri, server.user, server.password, server.database, timeout_s=60.0
    ) as graph:
        await migrate(graph)
        yield graph


@pytest.fixture
def registry(graph):
    clock = SteppingClock()
    store = Neo4jAssetStore(graph, clock, lambda: TRACEPARENT)
    return Registry(store, Neo4jOutbox(graph), clock, Tenant(new_tenant()))


def moment(at=0, known=OPEN_US - 1):
    return Window(us(at), us(at) + 1, known)


async def test_migrating_again_changes_nothing(graph):
    await asyncio.gather(migrate(graph), migrate(graph))


async def test_an_asset_is_read_as_it_was_registered(registry):
    pump = await registry.pump()

    (record,) = await registry.store.assets(registry.tenant, [(pump, moment())])

    assert record.fact.name == "P-101"
    assert record.fact.lifecycle is Lifecycle.IN_SERVICE
    assert record.interval == Interval(us(0), OPEN_US, to_us(T0))
    assert record.recorded_by == "ann"


async def test_a_repeated_registration_finds_the_same_asset(registry):
    first = await registry.pump()
    command = Registration("P-101", "pump", us(0), aliases=(NewAlias(AliasKey("plant", "P-101")),))

    again = await registry.register(registry.caller(), command)

    assert isinstance(again, Unchanged)
    assert again.record.fact.asset_id == first


async def test_a_registration_from_an_earlier_time_is_the_same_asset(registry):
    first = await registry.pump(at=10)
    assert await registry.pump(at=0) == first
    (record,) = await registry.store.assets(registry.tenant, [(first, moment(5))])
    assert record is not None


async def test_a_registration_of_many_at_once_makes_one_asset(registry):
    ids = await asyncio.gather(*(registry.pump() for _ in range(8)))

    assert len(set(ids)) == 1
    (found,) = await registry.store.candidates(
        registry.tenant, [(AliasKey("plant", "P-101"), moment())]
    )
    assert len(found) == 1


async def test_a_new_version_keeps_the_old_one_for_its_time(registry):
    pump = await registry.pump()
    await registry.register(
        registry.caller(),
        Registration("P-101", "pump", us(60), asset_id=pump, lifecycle=Lifecycle.RETIRED),
    )

    before, after = await registry.store.assets(
        registry.tenant, [(pump, moment(59)), (pump, moment(60))]
    )
    assert (before.fact.lifecycle, after.fact.lifecycle) == (
        Lifecycle.IN_SERVICE,
        Lifecycle.RETIRED,
    )


async def test_names_that_mean_two_assets_register_nothing(registry):
    await registry.pump("P-101")
    await registry.pump("P-102")
    command = Registration(
        "P-103",
        "pump",
        us(0),
        aliases=(NewAlias(AliasKey("plant", "P-101")), NewAlias(AliasKey("plant", "P-102"))),
    )

    with pytest.raises(PreconditionFailedError, match="mean 2 assets"):
        await registry.register(registry.caller(), command)


async def test_an_alias_is_resolved_at_a_time(registry):
    old, new = await registry.pump("P-101"), await registry.pump("P-102")
    key = AliasKey("cmms", "CW-4")
    say = registry.caller()
    await registry.assign(say, Statement(AliasFact(key, old, "cmms admin", 0.9), us(0), us(30)))
    await registry.assign(say, Statement(AliasFact(key, new), us(30)))

    answers = await registry.store.candidates(
        registry.tenant, [(key, moment(at)) for at in (-1, 0, 29, 30)]
    )

    assert [[r.fact.asset_id for r in found] for found in answers] == [[], [old], [old], [new]]
    assert answers[1][0].fact.authority == "cmms admin"
    assert answers[1][0].fact.confidence_ratio == 0.9


async def test_an_alias_with_two_candidates_shows_both(registry):
    one, other = await registry.pump("P-101"), await registry.pump("P-102")
    key = AliasKey("cmms", "CW-4")
    for asset in (one, other):
        await registry.assign(registry.caller(), Statement(AliasFact(key, asset), us(0)))

    (found,) = await registry.store.candidates(registry.tenant, [(key, moment())])

    assert {r.fact.asset_id for r in found} == {one, other}


async def test_the_aliases_of_an_asset_are_listed(registry):
    pump = await registry.pump()
    key = AliasKey("mqtt", "skid1")
    await registry.assign(registry.caller(), Statement(AliasFact(key, pump), us(0)))

    (found,) = await registry.store.aliases(registry.tenant, [(pump, moment())])

    assert [r.fact.key for r in found] == [key, AliasKey("plant", "P-101")]


async def test_a_configuration_recorded_late_is_known_from_then_on(registry):
    """S2: trimmed at 18:40, entered at 18:50."""
    pump = await registry.pump()
    registry.clock.wall = T0 + timedelta(minutes=1000)
    first = await registry.configured(pump, "v1", 1000)
    registry.clock.wall = T0 + timedelta(minutes=1130)
    second = await registry.configured(pump, "v2", 1120, subject="bob")
    known_then = first.record.interval.recorded_from_us
    known_now = second.record.interval.recorded_from_us

    assert known_now > known_then
    assert await registry.configuration(pump, 1125, known_then) == "v1"
    assert await registry.configuration(pump, 1125, known_now - 1) == "v1"
    assert await registry.configuration(pump, 1125, known_now) == "v2"
    assert await registry.configuration(pump, 1119, known_now) == "v1"
    (window,) = await registry.store.configurations(
        registry.tenant, [(pump, Window(us(1100), us(1200), known_now))]
    )
    assert [(r.fact.label, r.recorded_by) for r in window] == [("v1", "ann"), ("v2", "bob")]


async def test_recorded_times_increase_though_the_clock_stands_still(registry):
    pump = await registry.pump()
    times = [
        (await registry.configured(pump, f"v{n}", n)).record.interval.recorded_from_us
        for n in range(5)
    ]
    assert times == sorted(set(times))


async def test_recorded_times_increase_though_another_process_has_a_slow_clock(registry, graph):
    pump = await registry.pump()
    registry.clock.wall = T0 + timedelta(hours=1)
    ahead = await registry.configured(pump, "v1", 1)
    slow = SteppingClock()
    other = RecordConfiguration(Neo4jAssetStore(graph, slow, lambda: ""), UlidMint(slow))

    behind = await other(registry.caller(), Configuring(pump, "v2", "{}", us(2)))

    assert behind.record.interval.recorded_from_us > ahead.record.interval.recorded_from_us


async def test_a_repeat_changes_nothing_and_announces_nothing(registry):
    pump = await registry.pump()
    first = await registry.configured(pump, "v1", 1, attributes='{"impeller_mm":210}')
    events = len(await registry.events())

    again = await registry.configured(pump, "v1", 1, attributes='{"impeller_mm":210}')

    assert isinstance(again, Unchanged)
    assert again.record == first.record
    assert len(await registry.events()) == events


async def test_relations_are_found_from_both_ends(registry):
    pump, line = await registry.pump("P-101"), await registry.pump("LINE-A")
    fact = RelationFact(pump, line, RelationKind.PART_OF)
    await registry.relate(registry.caller(), Statement(fact, us(0)))

    here, there = await registry.store.relations(
        registry.tenant, [(pump, moment()), (line, moment())]
    )
    (none,) = await registry.store.relations(
        registry.tenant, [(pump, moment())], kind=RelationKind.FEEDS
    )

    assert [r.fact for r in here] == [r.fact for r in there] == [fact]
    assert none == ()


def flow(registry, pump, device="skid1", name="flow"):
    return SignalFact(
        registry.mint.signal_id(),
        pump,
        name,
        "L/min",
        "m3/s",
        1.0,
        Address(SubjectToken("plc"), SubjectToken(device), SubjectToken("ai_1")),
        range_min=0.0,
        time_zone="Europe/London",
        stuck_after=30,
    )


async def test_a_signal_is_found_by_asset_id_and_source(registry):
    pump = await registry.pump()
    fact = flow(registry, pump)
    await registry.define(registry.caller(), Statement(fact, us(0)), given=None)
    store, tenant = registry.store, registry.tenant

    (of_asset,) = await store.signals(tenant, [(pump, moment())])
    (by_id,) = await store.signals_by_id(tenant, [(fact.signal_id, moment())])
    pages = [
        await store.signal_page(tenant, which, moment(), after=None, limit=10)
        for which in (
            SignalFilter(),
            SignalFilter(source=SubjectToken("plc")),
            SignalFilter(assets=(pump,)),
            SignalFilter(signals=(fact.signal_id,)),
            SignalFilter(assets=(pump,), source=SubjectToken("plc")),
        )
    ]

    assert [r.fact for r in of_asset] == [fact]
    assert by_id.fact == fact
    assert [[r.fact for r in page] for page in pages] == [[fact]] * 5
    assert not await store.signal_page(
        tenant, SignalFilter(source=SubjectToken("other")), moment(), after=None, limit=10
    )


async def test_an_address_speaks_for_one_signal(registry):
    one, other = await registry.pump("P-101"), await registry.pump("P-102")
    say = registry.caller()

    outcomes = await asyncio.gather(
        registry.define(say, Statement(flow(registry, one), us(0)), given=None),
        registry.define(say, Statement(flow(registry, other), us(0)), given=None),
        return_exceptions=True,
    )

    assert sorted(type(o).__name__ for o in outcomes) == ["PreconditionFailedError", "Recorded"]


async def test_pages_of_assets_are_filtered_and_go_on(registry):
    pumps = sorted([await registry.pump(f"P-{n}") for n in range(5)])
    await registry.register(registry.caller(), Registration("Hall", "building", us(0)))
    store, tenant = registry.store, registry.tenant

    first = await store.asset_page(
        tenant, AssetFilter(asset_class="pump"), moment(), after=None, limit=3
    )
    rest = await store.asset_page(
        tenant, AssetFilter(asset_class="pump"), moment(), after=first[-1].fact.asset_id, limit=3
    )
    named = await store.asset_page(
        tenant, AssetFilter(name_contains="hal"), moment(), after=None, limit=3
    )
    retired = await store.asset_page(
        tenant, AssetFilter(lifecycle=Lifecycle.RETIRED), moment(), after=None, limit=3
    )
    early = await store.asset_page(tenant, AssetFilter(), moment(-1), after=None, limit=3)

    assert [r.fact.asset_id for r in (*first, *rest)] == pumps
    assert [r.fact.name for r in named] == ["Hall"]
    assert retired == []
    assert early == []


async def test_a_thousand_ids_are_answered_in_order(registry):
    pump = await registry.pump()
    unknown = registry.mint.asset_id()

    found = await registry.store.assets(
        registry.tenant, [(unknown, moment()), *[(pump, moment())] * 999]
    )

    assert found[0] is None
    assert len(found) == 1000
    assert {r.fact.asset_id for r in found[1:]} == {pump}


async def test_another_tenant_finds_nothing_and_touches_nothing(registry):
    pump = await registry.pump()
    fact = flow(registry, pump)
    await registry.define(registry.caller(), Statement(fact, us(0)), given=None)
    await registry.configured(pump, "v1", 0)
    stranger = Tenant(new_tenant())
    store, at = registry.store, moment()
    say = registry.caller(stranger)

    assert await store.assets(stranger, [(pump, at)]) == [None]
    assert await store.candidates(stranger, [(AliasKey("plant", "P-101"), at)]) == [()]
    assert await store.aliases(stranger, [(pump, at)]) == [()]
    assert await store.configurations(stranger, [(pump, at)]) == [()]
    assert await store.relations(stranger, [(pump, at)]) == [()]
    assert await store.signals(stranger, [(pump, at)]) == [()]
    assert await store.signals_by_id(stranger, [(fact.signal_id, at)]) == [None]
    assert await store.asset_page(stranger, AssetFilter(), at, after=None, limit=10) == []
    assert (
        await store.signal_page(
            stranger, SignalFilter(source=SubjectToken("plc")), at, after=None, limit=10
        )
        == []
    )
    for write in (
        registry.configure(say, Configuring(pump, "v2", "{}", us(1))),
        registry.assign(say, Statement(AliasFact(AliasKey("x", "y"), pump), us(0))),
        registry.register(say, Registration("mine", "pump", us(0), asset_id=pump)),
        registry.define(say, Statement(fact, us(0)), given=None),
    ):
        with pytest.raises(NotFoundError):
            await write
    own = await registry.register(
        say, Registration("P-101", "pump", us(0), aliases=(NewAlias(AliasKey("plant", "P-101")),))
    )
    assert own.record.fact.asset_id != pump
    with pytest.raises(NotFoundError):
        await registry.relate(
            say,
            Statement(RelationFact(own.record.fact.asset_id, pump, RelationKind.FEEDS), us(0)),
        )


async def test_writing_needs_its_role(registry):
    with pytest.raises(ForbiddenError):
        await registry.register(
            registry.caller(roles=("read",)), Registration("P-101", "pump", us(0))
        )


async def test_a_change_is_announced_once_with_what_it_replaced(registry):
    pump = await registry.pump()
    first = await registry.configured(pump, "v1", 0)
    await registry.configured(pump, "v2", 5)

    events = await registry.events()

    assert [e.type for e in events] == [
        "assets.asset.registered.v1",
        "assets.alias.assigned.v1",
        "assets.configuration.recorded.v1",
        "assets.configuration.recorded.v1",
    ]
    assert len({e.id for e in events}) == 4
    assert {e.subject for e in events} == {pump}
    assert {e.traceparent for e in events} == {TRACEPARENT}
    said = events_pb2.ConfigurationRecorded.FromString(events[-1].data)
    assert said.configuration.label == "v2"
    assert said.superseded_ids == [first.record.fact.configuration_id]


async def test_a_refused_write_saves_and_announces_nothing(registry):
    pump = await registry.pump()
    before = len(await registry.events())

    def decide(ledger):
        ledger.state(Statement(replace(flow(registry, pump)), us(0)))
        raise InvalidInputError("changed our mind")

    touch = Touch(assets=frozenset({pump}), addresses=frozenset({flow(registry, pump).address}))
    with pytest.raises(InvalidInputError):
        await registry.store.write(registry.tenant, touch, decide, recorded_by="ann")

    assert len(await registry.events()) == before
    assert await registry.store.signals(registry.tenant, [(pump, moment())]) == [()]


async def test_published_entries_are_forgotten(registry):
    await registry.pump()
    entries = [
        e for e in await registry.outbox.pending(100_000) if e.envelope.tenant == registry.tenant
    ]

    await registry.outbox.delete([e.key for e in entries])
    await registry.outbox.delete([e.key for e in entries])

    assert await registry.events() == []


TABLES = {
    "assets": "key,name,class\nSITE,Works,site\nP-101,Pump 101,pump\nP-102,Pump 102,pump\n",
    "aliases": "asset,system,value\nP-101,cmms,CW-4\n",
    "relations": "from,kind,to\nP-101,LOCATED_IN,SITE\nP-101,FEEDS,P-102\n",
    "configurations": (
        'asset,label,attributes,valid_from\nP-101,v1,"{""mm"":210}",2026-03-01T00:00:00Z\n'
    ),
    "signals": (
        "asset,name,source_unit,cadence_s,source,device,source_signal\n"
        "P-101,flow,L/min,1,plc,p101,flow\nP-102,flow,L/min,1,plc,p102,flow\n"
    ),
}


async def test_a_plant_is_planned_without_changing_anything(registry):
    plan = await registry.import_plant(registry.caller(), TABLES, dry_run=True)

    assert plan.changed == {
        "assets": 3,
        "aliases": 1,
        "relations": 2,
        "configurations": 1,
        "signals": 2,
    }
    assert plan.problems == []
    assert await registry.events() == []


async def test_a_plant_imported_twice_is_there_once(registry):
    first = await registry.import_plant(registry.caller(), TABLES, dry_run=False)
    events = len(await registry.events())
    registry.clock.wall += timedelta(hours=1)
    second = await registry.import_plant(registry.caller(), TABLES, dry_run=False)

    assert first.changed == second.unchanged
    assert second.changed == {}
    assert len(await registry.events()) == events
    page = await registry.store.asset_page(
        registry.tenant, AssetFilter(), moment(61), after=None, limit=10
    )
    assert sorted(r.fact.name for r in page) == ["Pump 101", "Pump 102", "Works"]


async def test_a_plant_with_a_bad_row_changes_nothing_and_names_the_row(registry):
    tables = TABLES | {"relations": "from,kind,to\nP-101,FEEDS,P-102\nP-101,FEEDS,P-999\n"}

    plan = await registry.import_plant(registry.caller(), tables, dry_run=True)
    with pytest.raises(InvalidInputError, match="relations line 3: no asset is called 'P-999'"):
        await registry.import_plant(registry.caller(), tables, dry_run=False)

    assert [p.split(":")[0] for p in plan.problems] == ["relations line 3"]
    assert await registry.events() == []


async def test_a_silent_server_is_an_outage(server):
    async with Graph(
        "bolt://127.0.0.1:1", server.user, server.password, server.database, timeout_s=1.0
    ) as graph:
        with pytest.raises((UnavailableError, DeadlineExceededError)):
            await graph.ping()


async def test_wrong_credentials_are_an_outage_and_say_so(server):
    async with Graph(
        server.uri, server.user, "wrong-password", server.database, timeout_s=5.0
    ) as graph:
        with pytest.raises(UnavailableError, match="credentials"):
            await graph.ping()


# --- the property: however writers interleave, intervals never overlap -------------------------

SAID = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["v1", "v2", "v3"]),
        st.integers(0, 20),
        st.one_of(st.none(), st.integers(1, 10)),
    ),
    min_size=6,
    max_size=14,
)


async def every_record(graph, tenant, label):
    kind = {"Configuration": neo4j_rows.CONFIGURATION, "Relation": neo4j_rows.RELATION}[label]
    rows = await graph.read(f"MATCH (v:{label} {{tenant: $tenant}}) RETURN v", tenant=str(tenant))
    return [neo4j_rows.record_of(kind, row["v"]) for row in rows]


def assert_no_overlap(records):
    for _, lane in itertools.groupby(
        sorted(records, key=lambda r: r.fact.lane), key=lambda r: r.fact.lane
    ):
        for one, other in itertools.combinations(lane, 2):
            assert not one.interval.overlaps(other.interval), (one, other)


async def concurrent_statements(registry, graph, said):
    registry.tenant = Tenant(new_tenant())
    pumps = [await registry.pump(f"P-{n}") for n in range(3)]
    lines = [await registry.pump(f"L-{n}") for n in range(3)]

    async def write(pump, label, start, length):
        until = None if length is None else start + length
        await registry.configured(pumps[pump], label, start, until)
        await registry.relate(
            registry.caller(),
            Statement(
                RelationFact(pumps[pump], lines[int(label[1]) - 1], RelationKind.PART_OF), us(start)
            ),
        )

    await asyncio.gather(*(write(*statement) for statement in said))

    configurations = await every_record(graph, registry.tenant, "Configuration")
    assert configurations
    assert_no_overlap(configurations)
    assert_no_overlap(await every_record(graph, registry.tenant, "Relation"))
    for pump, label, start, _ in said[:1]:
        assert await registry.configuration(pumps[pump], start) is not None, label


@pytest.mark.parametrize(
    "engine", ["arcadedb", pytest.param("neo4j_server", marks=pytest.mark.neo4j)]
)
def test_intervals_never_overlap_however_writers_interleave(engine, request):
    """Concurrent writers about the same assets: at no recorded time do two facts of a lane hold."""
    server = request.getfixturevalue(engine)

    @settings(
        max_examples=12,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    @given(SAID)
    def hold(said):
        async def run():
            async with Graph(
                server.uri, server.user, server.password, server.database, timeout_s=60.0
            ) as graph:
                await migrate(graph)
                clock = SteppingClock()
                registry = Registry(
                    Neo4jAssetStore(graph, clock, lambda: ""),
                    Neo4jOutbox(graph),
                    clock,
                    Tenant(new_tenant()),
                )
                await concurrent_statements(registry, graph, said)

        asyncio.run(run())

    hold()
