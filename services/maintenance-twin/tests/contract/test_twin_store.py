"""One suite for every `TwinStore` with its `TwinReads`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from maintenance_twin.decide.shadow import Shadow
from maintenance_twin.decide.twin import Seen, new_twin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.measured import Challenged, Measured
from maintenance_twin.model.row import Row
from maintenance_twin.model.signal import Profile, Role, Signal
from maintenance_twin.model.tuning import DEFAULT
from maintenance_twin.model.work_item import (
    CloseReason,
    Direction,
    Evidence,
    FailureMode,
    Probability,
    Status,
    WorkItem,
)
from maintenance_twin.ports import Change, ConditionRewrite, ItemFilter, StateAnnouncement
from twinmesh.twin.v1.model_measured_pb2 import ModelMeasured
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, ReadTime, from_us, to_us
from twinmesh_sdk.core.trust import Quality, Reason, Trust, Verdict

pytestmark = pytest.mark.stack
ACME, GLOBEX = Tenant("acme"), Tenant("globex")
PUMP, OTHER = AssetId("ast_" + "0" * 26), AssetId("ast_" + "1" * 26)
CFG = "cfg_" + "0" * 26
T0 = datetime(2026, 1, 1, tzinfo=UTC)
T0_US = to_us(T0)
SECOND = 1_000_000


def read_at(seconds=1_000, known_at=None):
    moment = T0 + timedelta(seconds=seconds)
    return ReadTime(now=moment, as_of=moment, known_at=known_at)


def twin_of(asset_id=PUMP, tenant=ACME):
    signals = (
        Signal(SignalId("sig_" + "0" * 26), "flow", "m3/s", Role.FLOW, 1.0),
        Signal(SignalId("sig_" + "1" * 26), "power", "W", Role.POWER, 1.0),
    )
    profile = Profile(asset_id, "pump", signals)
    twin = new_twin(tenant, profile, Configurations((Span(T0_US, OPEN_US, CFG),)), DEFAULT)
    twin.first_us = T0_US
    twin.seen["flow"] = Seen(T0_US + SECOND, T0_US + SECOND)
    twin.seen["power"] = Seen(T0_US + 2 * SECOND, T0_US + 2 * SECOND)
    return twin


def item_of(number=1, asset_id=PUMP, tenant=ACME, opened_s=100):
    opened_us = T0_US + opened_s * SECOND
    return WorkItem(
        work_item_id=f"wki_{number:032x}",
        tenant=tenant,
        asset_id=asset_id,
        configuration_id=CFG,
        mode="1",
        status=Status.OPEN,
        onset_us=opened_us - 60 * SECOND,
        opened_us=opened_us,
        detected_us=opened_us + SECOND,
        failure_mode=FailureMode.LOO,
        probability=Probability(0.625, "OUTSIDE_ACCEPTANCE", 14_400.0),
        evidence=(
            Evidence("flow", "m3/s", 0.5, 0.4, 0.01, Direction.BELOW, opened_us, 0.75),
            Evidence("power", "W", 1e4, 9e3, 100.0, Direction.BELOW, opened_us, 0.25),
        ),
        trust=Trust(
            Verdict.FRESH,
            quality=Quality.UNCERTAIN,
            observed_at=from_us(opened_us),
            decision="trip",
            budget_s=60.0,
            age_s=0.5,
            reasons=(Reason("NO_CONFIGURATION"),),
        ),
        model_version="1.0.0",
        trace_id="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def condition(state, at_s):
    return Condition(state, T0_US + at_s * SECOND, configuration_id=CFG, model_version="1.0.0")


def conditions(*held, axis=Axis.CONDITION):
    return ConditionRewrite(axis, held[0].from_us, held)


async def recorded(reads, item_id):
    return from_us((await reads.items(ACME, [item_id], read_at()))[item_id].recorded_from_us)


async def test_a_twin_is_found_as_it_was_saved(store):
    twin = twin_of()
    await store.save([Change(twin=twin)])

    found = (await store.load(ACME, [PUMP, OTHER]))[PUMP]

    assert found == twin
    assert found.version == 1


async def test_a_lost_race_saves_and_announces_nothing(store, outbox):
    await store.save([Change(twin=twin_of())])
    mine = (await store.load(ACME, [PUMP]))[PUMP]
    theirs = (await store.load(ACME, [PUMP]))[PUMP]
    await store.save([Change(twin=theirs)])

    with pytest.raises(ConflictError):
        await store.save([Change(twin=mine, items=[item_of()]), Change(twin=twin_of(OTHER))])

    assert list(await outbox.pending(10)) == []
    assert await store.load(ACME, [OTHER]) == {}


async def test_two_first_saves_of_one_asset_are_a_race(store):
    await store.save([Change(twin=twin_of())])

    with pytest.raises(ConflictError):
        await store.save([Change(twin=twin_of())])


async def test_an_item_is_found_as_it_was_saved(store, reads):
    item = item_of()
    await store.save([Change(twin=twin_of(), items=[item])])

    held = (await reads.items(ACME, [item.work_item_id], read_at()))[item.work_item_id]

    assert held.value == item


async def test_another_tenants_item_is_not_found(store, reads):
    item = item_of()
    await store.save([Change(twin=twin_of(), items=[item])])

    assert await reads.items(GLOBEX, [item.work_item_id], read_at()) == {}
    assert await reads.list_items(GLOBEX, ItemFilter(), read_at(), after=None, limit=10) == []


async def test_state_and_events_are_saved_together(store, outbox):
    change = Change(
        twin=twin_of(),
        rewrites=[conditions(condition(State.DEGRADED, 100))],
        items=[item_of()],
        announcements=[StateAnnouncement(State.HEALTHY, State.DEGRADED, T0_US)],
    )
    await store.save([change])

    entries = await outbox.pending(10)

    assert [e.envelope.type for e in entries] == [
        "maintenance.work_item.opened.v1",
        "maintenance.state.changed.v1",
    ]
    assert entries[0].envelope.subject == PUMP
    assert entries[0].envelope.traceparent == item_of().trace_id
    assert change.twin.changes == 1


async def test_a_closed_item_was_open_before_and_as_known_before(store, reads):
    twin, item = twin_of(), item_of(opened_s=100)
    await store.save([Change(twin=twin, items=[item])])
    before = await recorded(reads, item.work_item_id)
    closed = item.closed(
        T0_US + 500 * SECOND, CloseReason.RECOVERED, degraded_to_us=T0_US + 380 * SECOND
    )
    await store.save([Change(twin=twin, items=[closed])])

    async def status(at):
        return (await reads.items(ACME, [item.work_item_id], at))[item.work_item_id].value

    assert (await status(read_at(600))).status is Status.CLOSED
    assert (await status(read_at(400))) == replace(item, version=2)
    assert (await status(read_at(600, known_at=before))) == item
    assert await reads.items(ACME, [item.work_item_id], read_at(99)) == {}


async def test_a_superseded_item_can_still_be_had_as_known_before(store, reads):
    twin, item = twin_of(), item_of()
    await store.save([Change(twin=twin, items=[item])])
    before = await recorded(reads, item.work_item_id)
    successor = item_of(2, opened_s=120)
    gone = item.superseded("configuration was recorded late", successor.work_item_id)
    await store.save([Change(twin=twin, items=[gone, successor])])

    now = await reads.items(ACME, [item.work_item_id, successor.work_item_id], read_at())
    then = await reads.items(
        ACME, [item.work_item_id, successor.work_item_id], read_at(known_at=before)
    )

    assert now[item.work_item_id].value.status is Status.SUPERSEDED
    assert now[item.work_item_id].value.superseded_by == successor.work_item_id
    assert then[item.work_item_id].value == item
    assert successor.work_item_id not in then


async def test_what_a_window_measured_is_announced_once(store, outbox):
    challenged = Challenged("1.1.0", 500, 5, 480, 1.25, 1.0)
    measured = Measured("1.0.0", CFG, T0_US, T0_US + 600 * SECOND, 490, 1.25, -0.125, (challenged,))
    twin = twin_of()
    twin.window.shadows["1.1.0"] = Shadow(twin_of().evaluation)
    await store.save([Change(twin=twin, measured=[measured])])

    (entry,) = await outbox.pending(10)
    told = ModelMeasured.FromString(entry.envelope.data)
    assert entry.envelope.type == "maintenance.model.measured.v1"
    assert entry.envelope.subject == PUMP
    assert entry.envelope.time == T0 + timedelta(minutes=10)
    assert (told.model, told.version, told.rows) == ("pump-condition", "1.0.0", 490)
    assert (told.mean_square, told.mean_residual) == (1.25, -0.125)
    (against,) = told.challengers
    assert (against.version, against.pairs, against.challenger_error) == ("1.1.0", 480, 1.0)
    assert (await store.load(ACME, [PUMP]))[PUMP] == twin


async def test_opened_and_closed_in_one_batch_leaves_one_held_version(store, reads, outbox):
    item = item_of()
    closed = item.closed(
        T0_US + 200 * SECOND, CloseReason.RECOVERED, degraded_to_us=T0_US + 150 * SECOND
    )
    await store.save([Change(twin=twin_of(), items=[item, closed])])

    found = await reads.list_items(ACME, ItemFilter(), read_at(), after=None, limit=10)

    assert [h.value for h in found] == [closed]
    assert len(await outbox.pending(10)) == 2


async def test_pages_continue_where_they_ended(store, reads):
    items = [item_of(n, opened_s=100 + n // 2) for n in range(7)]
    await store.save([Change(twin=twin_of(), items=items)])
    seen, after = [], None

    while page := await reads.list_items(ACME, ItemFilter(), read_at(), after=after, limit=3):
        seen += [h.value.work_item_id for h in page]
        after = (page[-1].value.opened_us, page[-1].value.work_item_id)

    expected = sorted(items, key=lambda i: (i.opened_us, i.work_item_id), reverse=True)
    assert seen == [i.work_item_id for i in expected]


async def test_filters_restrict(store, reads):
    twin, other = twin_of(), twin_of(OTHER)
    first, second = item_of(1), item_of(2, asset_id=OTHER, opened_s=300)
    closed = first.closed(
        T0_US + 200 * SECOND, CloseReason.RECOVERED, degraded_to_us=T0_US + 150 * SECOND
    )
    await store.save([Change(twin=twin, items=[first]), Change(twin=other, items=[second])])
    await store.save([Change(twin=twin, items=[closed])])

    async def ids(at=None, **criteria):
        found = await reads.list_items(
            ACME, ItemFilter(**criteria), at or read_at(), after=None, limit=10
        )
        return [h.value.work_item_id for h in found]

    assert await ids(asset_ids=(OTHER,)) == [second.work_item_id]
    assert await ids(statuses=frozenset({Status.CLOSED})) == [first.work_item_id]
    assert await ids(at=read_at(150), statuses=frozenset({Status.OPEN})) == [first.work_item_id]
    assert await ids(opened_from_us=T0_US + 200 * SECOND) == [second.work_item_id]
    assert await ids(opened_to_us=T0_US + 200 * SECOND) == [first.work_item_id]


async def test_the_last_items_of_many_assets_come_in_one_call(store, reads):
    mine = [item_of(n, opened_s=100 + n) for n in range(4)]
    theirs = [item_of(10, asset_id=OTHER)]
    await store.save(
        [Change(twin=twin_of(), items=mine), Change(twin=twin_of(OTHER), items=theirs)]
    )

    found = await reads.items_by_asset(ACME, [PUMP, OTHER], read_at(), per_asset=2)

    assert [h.value for h in found[PUMP]] == [mine[3], mine[2]]
    assert [h.value for h in found[OTHER]] == theirs


async def test_a_condition_holds_until_the_next_one(store, reads):
    twin = twin_of()
    await store.save(
        [
            Change(
                twin=twin,
                rewrites=[
                    conditions(condition(State.BASELINING, 0), condition(State.HEALTHY, 400))
                ],
            )
        ]
    )
    await store.save([Change(twin=twin, rewrites=[conditions(condition(State.DEGRADED, 700))])])

    async def state(seconds):
        found = await reads.conditions(ACME, [PUMP], read_at(seconds))
        return found[PUMP][Axis.CONDITION].value.state

    assert [await state(s) for s in (1, 399, 400, 699, 700)] == [
        State.BASELINING,
        State.BASELINING,
        State.HEALTHY,
        State.HEALTHY,
        State.DEGRADED,
    ]


async def test_rewritten_conditions_can_still_be_had_as_known_before(store, reads, scalar):
    twin = twin_of()
    await store.save(
        [
            Change(
                twin=twin,
                rewrites=[conditions(condition(State.HEALTHY, 0), condition(State.DEGRADED, 500))],
            )
        ]
    )
    before = from_us(await scalar("SELECT max(recorded_from_us) FROM condition"))
    await store.save([Change(twin=twin, rewrites=[conditions(condition(State.BASELINING, 300))])])

    now = await reads.conditions(ACME, [PUMP], read_at(600))
    then = await reads.conditions(ACME, [PUMP], read_at(600, known_at=before))
    earlier = await reads.conditions(ACME, [PUMP], read_at(200))

    assert now[PUMP][Axis.CONDITION].value.state is State.BASELINING
    assert then[PUMP][Axis.CONDITION].value.state is State.DEGRADED
    assert earlier[PUMP][Axis.CONDITION].value.state is State.HEALTHY


async def test_two_rewrites_in_one_change_leave_what_the_last_one_says(store, reads):
    await store.save(
        [
            Change(
                twin=twin_of(),
                rewrites=[
                    conditions(condition(State.HEALTHY, 0), condition(State.DEGRADED, 500)),
                    conditions(condition(State.UNKNOWN, 400)),
                ],
            )
        ]
    )

    async def state(seconds):
        found = await reads.conditions(ACME, [PUMP], read_at(seconds))
        return found[PUMP][Axis.CONDITION].value.state

    assert [await state(s) for s in (399, 400, 600)] == [
        State.HEALTHY,
        State.UNKNOWN,
        State.UNKNOWN,
    ]


async def test_silence_begins_and_ends(store, reads):
    twin = twin_of()
    silence = conditions(condition(State.UNKNOWN, 100), axis=Axis.FRESHNESS)
    await store.save([Change(twin=twin, rewrites=[silence])])
    ended = ConditionRewrite(Axis.FRESHNESS, T0_US + 200 * SECOND, ())
    await store.save([Change(twin=twin, rewrites=[ended])])

    assert Axis.FRESHNESS in (await reads.conditions(ACME, [PUMP], read_at(150)))[PUMP]
    assert await reads.conditions(ACME, [PUMP], read_at(250)) == {}


async def test_candidates_of_silence_are_the_old_ones_not_yet_marked(store):
    twin, other = twin_of(), twin_of(OTHER)
    other.silent_us = T0_US
    await store.save([Change(twin=twin), Change(twin=other)])

    late = await store.silence_candidates(ACME, before_us=T0_US + 60 * SECOND, limit=10)
    soon = await store.silence_candidates(ACME, before_us=T0_US, limit=10)

    assert late == [PUMP]
    assert soon == []
    assert await store.tenants() == [ACME]


async def test_rows_are_logged_in_blocks_and_the_rest_waits_with_the_twin(store, scalar):
    twin = twin_of()
    rows = [Row(T0_US + n * SECOND, (0.1 * n, float(n)), 0, T0_US + n) for n in range(150)]
    twin.unlogged = list(rows)
    await store.save([Change(twin=twin)])

    logged = await store.rows(ACME, PUMP, T0_US + 10 * SECOND)
    found = (await store.load(ACME, [PUMP]))[PUMP]

    assert [*logged, *found.unlogged] == rows[10:]
    assert found.unlogged == twin.unlogged == rows[128:]
    assert await scalar("SELECT count(*) FROM row_block") == 2


async def test_pruned_rows_are_known_to_be_gone(store):
    twin = twin_of()
    twin.unlogged = [Row(T0_US + n * SECOND, (0.0, 0.0)) for n in range(128)]
    await store.save([Change(twin=twin)])

    assert await store.prune(ACME, before_us=T0_US + 64 * SECOND) == 1

    assert await store.rows(ACME, PUMP, T0_US) is None
    assert len(await store.rows(ACME, PUMP, T0_US + 64 * SECOND)) == 64


async def test_items_from_a_time_are_those_open_then_or_opened_later(store):
    twin = twin_of()
    early = item_of(1, opened_s=100).closed(
        T0_US + 150 * SECOND, CloseReason.RECOVERED, degraded_to_us=T0_US + 140 * SECOND
    )
    across, later = item_of(2, opened_s=190), item_of(3, opened_s=300)
    await store.save([Change(twin=twin, items=[replace(early, version=1), across, later])])

    found = await store.items_from(ACME, PUMP, T0_US + 200 * SECOND)

    assert found == [across, later]


async def test_completed_rows_take_the_place_of_those_of_their_time(store):
    twin = twin_of()
    twin.unlogged = [Row(T0_US + n * SECOND, (0.0, float(n))) for n in range(128)]
    await store.save([Change(twin=twin)])
    fresh = Row(T0_US + 70 * SECOND, (9.0, 70.0))

    await store.save([Change(twin=twin, completed=[fresh])])

    found = await store.rows(ACME, PUMP, T0_US)
    assert [r for r in found if r.values[0]] == [fresh]
    assert len(found) == 128
