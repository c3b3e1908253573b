import random

import numpy as np
import pytest

from telemetry.adapters.clickhouse import ClickHouseReadingStore
from telemetry.adapters.clickhouse_client import ClickHouse
from telemetry.adapters.clickhouse_rollups import ClickHouseRollupStore
from telemetry.model.reading import Readings
from telemetry.model.signal import Signal
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, parse_time, to_us

T0 = to_us(parse_time("2026-03-01T10:00:00Z"))
RECORDED = to_us(parse_time("2026-11-24T12:00:00Z"))
SECOND, HOUR = 1_000_000, 3_600_000_000
FOR_EVER = OPEN_US - 1

FLOW = Signal(
    tenant=Tenant("acme"),
    asset_id=AssetId(f"ast_{1:026d}"),
    signal_id=SignalId(f"sig_{1:026d}"),
    name="flow",
    unit="m3/s",
    source_unit="m3/s",
    source="skid",
    device="p101",
    source_signal="flow",
    cadence_s=60.0,
)


def readings(rows, *, recorded_us=RECORDED, first_seq=1):
    """Rows of (seconds after T0, value, status)."""
    count = len(rows)
    observed = np.array([T0 + r[0] * SECOND for r in rows], np.int64)
    zeros = np.zeros(count, np.int64)
    return Readings(
        signals=(FLOW,),
        signal_ix=zeros,
        observed_us=observed,
        value=np.array([r[1] for r in rows], np.float64),
        status=np.array([r[2] for r in rows], np.uint32),
        source_status=np.zeros(count, np.uint32),
        flags=np.zeros(count, np.uint8),
        sequence=zeros,
        arrived_us=observed,
        advanced_us=observed,
        repeats=zeros,
        recorded_us=np.full(count, recorded_us, np.int64),
        raw_seq=np.arange(first_seq, first_seq + count, dtype=np.int64),
        raw_ix=zeros,
        replay_ix=zeros - 1,
    )


class Backend:
    def __init__(self, database):
        self.database = database
        self.store = ClickHouseReadingStore(database)
        self.rollups = ClickHouseRollupStore(database)

    async def points(self, *, step_us=HOUR, known_at_us=FOR_EVER, mark_us=0, hours=6):
        return await self.rollups.aggregates(
            FLOW,
            start_us=T0,
            end_us=T0 + hours * HOUR,
            step_us=step_us,
            known_at_us=known_at_us,
            mark_us=mark_us,
            limit=100,
        )


@pytest.fixture
async def tsdb(tsdb_server, tsdb_database):
    async with ClickHouse(tsdb_server.url, tsdb_database) as database:
        yield Backend(database)


@pytest.fixture
async def real_clickhouse(clickhouse):
    name = clickhouse.make_database()
    async with ClickHouse(clickhouse.url, name) as database:
        yield Backend(database)
    clickhouse.drop_database(name)


@pytest.fixture(params=[pytest.param("tsdb", marks=pytest.mark.stack), "real_clickhouse"])
def backend(request):
    return request.getfixturevalue(request.param)


async def test_aggregates_leave_out_bad_readings_but_count_them(backend):
    bad, uncertain = 0x803C0000, 0x40930000
    await backend.store.insert(
        readings([(0, 1.0, 0), (60, 3.0, uncertain), (120, 500.0, bad), (4000, 7.0, bad)]), epoch=1
    )

    first, second = await backend.points()

    assert (first.mean, first.minimum, first.maximum) == (2.0, 1.0, 3.0)
    assert (first.count, first.good, first.status) == (3, 1, bad)
    assert (second.mean, second.count, second.good) == (7.0, 1, 0)


async def test_a_correction_replaces_its_reading_and_can_be_unknown_again(backend):
    await backend.store.insert(readings([(0, 1.0, 0), (60, 3.0, 0)]), epoch=1)
    await backend.store.insert(
        readings([(60, 5.0, 0)], recorded_us=RECORDED + 10, first_seq=9), epoch=1
    )

    (now,) = await backend.points()
    (then,) = await backend.points(known_at_us=RECORDED)

    assert (now.mean, now.count) == (3.0, 2)
    assert (then.mean, then.count) == (2.0, 2)


async def test_made_hours_answer_as_readings_do_also_when_touched_since(backend):
    rows = [(60 * n, float(n % 13), 0) for n in range(300)]
    random.Random(1).shuffle(rows)
    await backend.store.insert(readings(rows[:200]), epoch=1)
    made = await backend.rollups.refresh(since_recorded_us=0, until_recorded_us=RECORDED)
    assert made == 5
    await backend.store.insert(
        readings(rows[200:], recorded_us=RECORDED + 5, first_seq=1000), epoch=1
    )
    await backend.store.insert(
        readings([(0, 99.0, 0)], recorded_us=RECORDED + 6, first_seq=2000), epoch=1
    )

    for step_us in (HOUR, 2 * HOUR):
        from_readings = await backend.points(step_us=step_us)
        assert await backend.points(step_us=step_us, mark_us=RECORDED) == from_readings
    await backend.rollups.refresh(since_recorded_us=RECORDED, until_recorded_us=RECORDED + 6)
    assert await backend.points(mark_us=RECORDED + 6) == await backend.points()
    assert sum(p.count for p in await backend.points(mark_us=RECORDED + 6)) == 300


async def test_making_an_hour_twice_counts_nothing_twice(backend):
    await backend.store.insert(readings([(0, 1.0, 0), (60, 3.0, 0)]), epoch=1)
    for _ in range(2):
        await backend.rollups.refresh(since_recorded_us=0, until_recorded_us=RECORDED)

    (point,) = await backend.points(mark_us=RECORDED)

    assert (point.mean, point.count) == (2.0, 2)


async def test_hours_outlive_their_readings_until_they_are_forgotten_themselves(backend):
    await backend.store.insert(readings([(0, 1.0, 0), (60, 3.0, 0)]), epoch=1)
    await backend.rollups.refresh(since_recorded_us=0, until_recorded_us=RECORDED)
    assert await backend.store.forget(before_us=RECORDED + 1) == 2

    points = await backend.points(mark_us=RECORDED)
    assert [(p.mean, p.count) for p in points] == [(2.0, 2)]
    assert await backend.rollups.forget(before_us=FOR_EVER) == 1
    assert await backend.points(mark_us=RECORDED) == []
