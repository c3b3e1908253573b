"""`EnergyStore` on PostgreSQL: readings kept once, baselines as known at a time."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from energy_twin.adapters.postgres import PostgresEnergyStore
from energy_twin.decide.learn import learn
from energy_twin.model.baseline import Baseline, ConfigurationPeriod
from energy_twin.model.estimate import Window
from energy_twin.model.series import Role, Segment, Series, SignalUse
from energy_twin.ports import BaselineChange
from energy_twin.usecases import (
    Arrived,
    ForgetOldReadings,
    LearnBaselines,
    MeterDays,
    ReadEnergy,
    TakeReadings,
)
from twinmesh_local.testing import new_tenant
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox, RecordedClock
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, ReadTime, from_us, to_us
from twinmesh_sdk.core.trust import Budget, Quality, Verdict
from twinmesh_sdk.testing.clock import START, SimulatedClock

S = 1_000_000
T0 = to_us(START)
HOUR = 3600


def asset(n=0):
    return AssetId(f"ast_01J{n:023d}")


def signal(role, n=0):
    return SignalId(f"sig_01J{list(Role).index(role):03d}{n:020d}")


def use(role, n=0, cadence_s=1.0):
    return SignalUse(signal(role, n), str(role), role, cadence_s)


class Plant:
    """What the registry would say: every asset has power and flow, and these periods."""

    def __init__(self):
        self.known_periods = {}

    async def uses(self, tenant, signals):
        found = {}
        for asset_id in signals:
            n = int(asset_id[-20:])
            for role in (Role.POWER, Role.FLOW):
                found[signal(role, n)] = use(role, n)
        return found

    async def periods(self, tenant, asset_id):
        return self.known_periods.get(asset_id, ())

    def forget(self, tenant, asset_id):
        pass


@pytest.fixture
async def database(database_url):
    async with Database(database_url, package="energy_twin") as database:
        yield database


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def outbox(database):
    return PostgresOutbox(database)


@pytest.fixture
def store(database, outbox, clock):
    return PostgresEnergyStore(database, outbox, RecordedClock(database, clock))


@pytest.fixture
def plant():
    return Plant()


@pytest.fixture
def take(store, plant):
    return TakeReadings(store, plant, LearnBaselines(store, plant, readings=100, search_days=7))


@pytest.fixture
def read(store, clock):
    return ReadEnergy(store, clock, Budget("monthly-energy", 86_400))


@pytest.fixture
def tenant():
    return Tenant(new_tenant())


def run(tenant, seconds, *, n=0, start=0, extra_w=0.0, known_at_us=T0, noise=1.0):
    """Readings of a pump whose healthy specific energy is 100 kJ/m3, from `start` seconds on."""
    offsets = np.arange(start, start + seconds)
    rng = np.random.default_rng(offsets[0] + 1)
    flow = 0.01 + 1e-4 * rng.standard_normal(seconds)
    power = 1e5 * flow + noise * rng.standard_normal(seconds) + extra_w
    times = T0 + offsets.astype(np.int64) * S
    return [
        Arrived(
            tenant,
            asset(n),
            signal(role, n),
            Series(times, values, np.zeros(seconds, np.uint8)),
            known_at_us,
        )
        for role, values in ((Role.POWER, power), (Role.FLOW, flow))
    ]


def at(offset_s=10**6, known_at=None):
    moment = from_us(T0 + offset_s * S)
    return ReadTime(now=moment, as_of=moment, known_at=known_at)


def window(start, end, n=0):
    return Window(asset(n), T0 + start * S, T0 + end * S)


async def test_waste_is_found_with_its_interval(take, read, tenant):
    await take(run(tenant, 300))
    await take(run(tenant, 600, start=300, extra_w=50.0))

    (estimate,) = await read.waste(tenant, [window(300, 900)], at(900))

    waste = estimate.waste
    assert waste.lo90_j <= 50.0 * 600 <= waste.hi90_j
    assert waste.wasted_j == pytest.approx(50.0 * 600, rel=0.05)
    assert estimate.covered_ratio == pytest.approx(1.0)
    assert estimate.trust.verdict is Verdict.FRESH
    assert estimate.trust.model_version == "specific-energy-baseline-v1"


async def test_readings_delivered_again_in_any_order_change_nothing(take, read, outbox, tenant):
    parts = [run(tenant, 100, start=100 * n) for n in range(5)]
    for part in parts:
        await take(part)
    before = await read.waste(tenant, [window(100, 500)], at())
    announced = await outbox.pending(100)

    for part in (parts[3], parts[0], parts[4], parts[0], parts[1]):
        await take(part)

    assert await read.waste(tenant, [window(100, 500)], at()) == before
    assert await outbox.pending(100) == announced
    assert len(announced) == 1


async def test_what_is_learned_does_not_depend_on_how_readings_came(take, read, tenant):
    other = Tenant(new_tenant())
    await take(run(tenant, 500))
    whole = run(other, 500)
    for first in (400, 0, 100, 300, 200):
        cut = slice(first, first + 100)
        await take(
            [
                replace(
                    part,
                    series=Series(
                        part.series.times_us[cut], part.series.values[cut], part.series.grades[cut]
                    ),
                )
                for part in whole
            ]
        )

    (one,), (two,) = [await read.baselines(t, [asset()], at()) for t in (tenant, other)]
    assert one.baseline.learned == two.baseline.learned


async def test_a_configuration_recorded_late_is_learned_and_the_old_answer_stays(
    store, plant, take, read, outbox, clock, tenant
):
    plant.known_periods[asset()] = (ConfigurationPeriod("cfg_1", T0),)
    await take(run(tenant, 300))
    await take(run(tenant, 300, start=300, extra_w=50.0))
    before = await read.waste(tenant, [window(300, 600)], at())
    known_then = from_us(before[0].baselines[0].recorded_from_us)

    clock.advance(60)
    plant.known_periods[asset()] = (
        ConfigurationPeriod("cfg_1", T0, T0 + 300 * S),
        ConfigurationPeriod("cfg_2", T0 + 300 * S),
    )
    await LearnBaselines(store, plant, readings=100, search_days=7).anew(tenant, asset())

    after = await read.waste(tenant, [window(300, 600)], at())
    then = await read.waste(tenant, [window(300, 600)], at(known_at=known_then))
    assert before[0].waste.wasted_j == pytest.approx(50.0 * 300, rel=0.05)
    assert [h.baseline.period.configuration_id for h in after[0].baselines] == ["cfg_2"]
    assert after[0].waste.lo90_j <= 0.0 <= after[0].waste.hi90_j
    assert then[0].waste == before[0].waste
    assert then[0].trust.configuration_version == "cfg_1"
    events = [entry.envelope for entry in await outbox.pending(100)]
    assert [e.type for e in events] == ["energy.baseline.learned.v1"] * 2

    await LearnBaselines(store, plant, readings=100, search_days=7).anew(tenant, asset())
    assert len(await outbox.pending(100)) == 2


async def test_a_window_over_two_configurations_uses_both_baselines(plant, take, read, tenant):
    plant.known_periods[asset()] = (
        ConfigurationPeriod("cfg_1", T0, T0 + 300 * S),
        ConfigurationPeriod("cfg_2", T0 + 300 * S),
    )
    await take(run(tenant, 300))
    await take(run(tenant, 300, start=300, extra_w=50.0))

    whole, one, two = await read.waste(
        tenant, [window(200, 500), window(200, 300), window(300, 500)], at()
    )

    assert len(whole.baselines) == 2
    assert whole.waste.wasted_j == pytest.approx(one.waste.wasted_j + two.waste.wasted_j)


async def test_a_correction_is_used_and_the_old_reading_stays_readable(take, read, tenant):
    await take(run(tenant, 300, known_at_us=T0))
    before = await read.waste(tenant, [window(200, 250)], at())
    await take(run(tenant, 50, start=200, extra_w=100.0, known_at_us=T0 + 10 * S))

    after = await read.waste(tenant, [window(200, 250)], at())
    then = await read.waste(tenant, [window(200, 250)], at(known_at=from_us(T0 + 5 * S)))

    assert after[0].waste.wasted_j - before[0].waste.wasted_j > 4000
    assert then[0].waste == before[0].waste


async def test_before_a_baseline_nothing_is_stated_and_the_reason_is_named(take, read, tenant):
    await take(run(tenant, 50))

    (estimate,) = await read.waste(tenant, [window(0, 50)], at(50))

    assert estimate.waste is None
    assert estimate.trust.quality is Quality.BAD
    assert [reason.code for reason in estimate.trust.reasons] == ["BASELINING"]


async def test_a_gap_lowers_coverage_and_trust_and_stale_is_contagious(take, read, tenant):
    await take(run(tenant, 300))

    gap, old = await read.waste(tenant, [window(200, 600), window(200, 200_000)], at(10**6))

    assert gap.covered_ratio == pytest.approx(102 / 400, abs=0.01)
    assert gap.trust.quality is Quality.UNCERTAIN
    assert "INCOMPLETE_INPUT" in {reason.code for reason in gap.trust.reasons}
    assert gap.trust.verdict is Verdict.LATE
    assert old.trust.verdict is Verdict.STALE


async def test_an_estimate_sees_no_reading_after_its_as_of(take, read, tenant):
    await take(run(tenant, 600))

    (early,) = await read.waste(tenant, [window(200, 600)], at(400))

    assert early.waste.covered_s == pytest.approx(200.0)


async def test_another_tenant_finds_nothing(take, read, tenant):
    await take(run(tenant, 300))
    stranger = Tenant(new_tenant())

    assert await read.waste(stranger, [window(0, 300)], at()) == [None]
    assert await read.baselines(stranger, [asset()], at()) == [None]
    assert await read.known(stranger, [asset()]) == {}


async def test_two_hundred_windows_cost_a_constant_number_of_queries(database, take, read, tenant):
    for n in range(200):
        await take(run(tenant, 120, n=n))
    statements = []
    sa.event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )

    await read.waste(tenant, [window(0, 120)], at())
    alone = len(statements)
    found = await read.waste(tenant, [window(0, 120, n) for n in range(200)], at())

    assert all(estimate.waste is not None for estimate in found)
    assert len(statements) - alone == alone
    print(f"queries for 1 and for 200 windows: {alone}, {len(statements) - alone}")


async def test_a_segment_over_several_days_is_found_from_each_of_them(store, tenant):
    hours = np.arange(100, dtype=np.int64)
    series = Series(T0 + hours * HOUR * S, hours.astype(float), np.zeros(100, np.uint8))
    meter = use(Role.METER_INTERVAL, cadence_s=3600.0)
    segment = Segment(tenant, asset(), meter, series, T0)
    await store.add([segment])
    await store.add([segment])

    for first, last in ((0, 1), (23, 26), (50, 80), (0, 100)):
        (found,) = await store.series(
            tenant, [window(first * HOUR, last * HOUR)], [[meter.signal_id]]
        )
        assert found[meter.signal_id].values.tolist() == hours[first:last].tolist()


async def test_a_baseline_is_held_once_at_a_time(store, tenant):
    times = T0 + np.arange(200, dtype=np.int64) * S
    flat = Series(times, np.full(200, 0.01), np.zeros(200, np.uint8))
    inputs = {role: (use(role), flat) for role in (Role.POWER, Role.FLOW)}
    period = ConfigurationPeriod("cfg_1", T0)
    baseline = Baseline(tenant, asset(), period, learn(inputs, period, readings=100))
    await store.change(BaselineChange(begun=(baseline,), announced=((baseline, ""),)))
    whole = Window(asset(), T0, OPEN_US)
    ((held,),) = await store.baselines(tenant, [whole])

    await store.change(BaselineChange(ended=(held,), begun=(baseline,)))

    ((now,),) = await store.baselines(tenant, [whole])
    ((then,),) = await store.baselines(tenant, [whole], known_at_us=held.recorded_from_us)
    assert now.baseline == then.baseline == baseline
    assert now.recorded_from_us > then.recorded_from_us
    assert then.recorded_to_us == now.recorded_from_us
    found = await store.baseline(tenant, baseline.baseline_id)
    assert found == now


async def test_a_window_that_is_still_open_years_later_states_what_is_covered(take, read, tenant):
    await take(run(tenant, 300))
    await take(run(tenant, 300, start=300, extra_w=50.0))
    later = 7 * 366 * 24 * HOUR

    closed, still_open = await read.waste(tenant, [window(300, 603), window(300, later)], at(later))

    assert still_open.waste.wasted_j == pytest.approx(closed.waste.wasted_j)
    assert still_open.trust.verdict is Verdict.STALE
    assert still_open.trust.quality is Quality.UNCERTAIN


async def test_two_hundred_meters_cost_a_constant_number_of_queries(database, store, read, tenant):
    hours = np.arange(24, dtype=np.int64)
    for n in range(200):
        meter = use(Role.METER_INTERVAL, n, cadence_s=3600.0)
        series = Series(T0 + hours * HOUR * S, np.full(24, 3.6e6), np.zeros(24, np.uint8))
        await store.add([Segment(tenant, asset(n), meter, series, T0)])
    statements = []
    sa.event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    wanted = MeterDays(START.date(), START.date())

    await read.meter_totals(tenant, [asset()], wanted, at())
    alone = len(statements)
    found = await read.meter_totals(tenant, [asset(n) for n in range(200)], wanted, at())

    assert len(statements) - alone == alone
    assert {len(days) for days in found} == {1}


async def test_old_readings_are_forgotten_and_baselines_stay(store, take, read, clock, tenant):
    await take(run(tenant, 300, known_at_us=to_us(clock.wall_now())))
    clock.advance(30 * 86_400)
    await take(run(tenant, 100, start=300, known_at_us=to_us(clock.wall_now())))

    gone = await ForgetOldReadings(store, clock, kept_days=10)()

    assert gone == 2
    assert (await read.baselines(tenant, [asset()], at()))[0] is not None
    (kept,) = await read.waste(tenant, [window(0, 400)], at())
    assert kept.waste.covered_s == pytest.approx(100.0)


async def test_readings_behind_a_baseline_cost_the_same_for_one_asset_and_for_fifty(
    database, take, tenant
):
    await take([part for n in range(50) for part in run(tenant, 120, n=n)])
    statements = []
    sa.event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )

    await take(run(tenant, 10, start=120))
    alone = len(statements)
    await take([part for n in range(50) for part in run(tenant, 10, start=130, n=n)])

    assert len(statements) - alone == alone
