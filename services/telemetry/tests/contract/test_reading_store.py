import numpy as np
import pytest

from telemetry.adapters.clickhouse import ClickHouseReadingStore
from telemetry.adapters.clickhouse_client import ClickHouse
from telemetry.adapters.memory import MemoryReadingStore
from telemetry.model.reading import Readings, Tail
from telemetry.model.signal import Signal
from telemetry.ports import Span
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, parse_time, to_us

T0 = to_us(parse_time("2026-03-01T10:00:00Z"))
SECOND = 1_000_000
RECORDED = to_us(parse_time("2026-11-24T12:00:00Z"))


def signal(number, tenant="acme"):
    return Signal(
        tenant=Tenant(tenant),
        asset_id=AssetId(f"ast_{number:026d}"),
        signal_id=SignalId(f"sig_{number:026d}"),
        name="flow",
        unit="m3/s",
        source_unit="m3/s",
        source="skid",
        device="p101",
        source_signal="flow",
        cadence_s=1.0,
    )


FLOW, PRESSURE = signal(1), signal(2)


def readings(rows, *, signals=(FLOW, PRESSURE), recorded_us=RECORDED, first_seq=1):
    """Rows of (signal place, seconds after T0, value)."""
    count = len(rows)
    observed = np.array([T0 + round(r[1] * SECOND) for r in rows], np.int64)
    return Readings(
        signals=tuple(signals),
        signal_ix=np.array([r[0] for r in rows], np.int64),
        observed_us=observed,
        value=np.array([r[2] for r in rows], np.float64),
        status=np.zeros(count, np.uint32),
        source_status=np.zeros(count, np.uint32),
        flags=np.zeros(count, np.uint8),
        sequence=np.arange(count, dtype=np.int64),
        arrived_us=observed + 1,
        advanced_us=observed,
        repeats=np.zeros(count, np.int64),
        recorded_us=np.full(count, recorded_us, np.int64),
        raw_seq=np.arange(first_seq, first_seq + count, dtype=np.int64),
        raw_ix=np.zeros(count, np.int64),
        replay_ix=np.full(count, -1, np.int64),
    )


@pytest.fixture
async def memory():
    return MemoryReadingStore()


@pytest.fixture
async def tsdb(tsdb_server, tsdb_database):
    async with ClickHouse(tsdb_server.url, tsdb_database) as database:
        yield ClickHouseReadingStore(database)


@pytest.fixture
async def real_clickhouse(clickhouse):
    name = clickhouse.make_database()
    async with ClickHouse(clickhouse.url, name) as database:
        yield ClickHouseReadingStore(database)
    clickhouse.drop_database(name)


@pytest.fixture(params=["memory", pytest.param("tsdb", marks=pytest.mark.stack), "real_clickhouse"])
def store(request):
    return request.getfixturevalue(request.param)


async def test_an_empty_store_knows_nothing(store):
    assert await store.tails([FLOW]) == {}
    assert len(await store.stored([Span(FLOW, T0, T0)], epoch=1)) == 0
    assert await store.latest([FLOW], as_of_us=OPEN_US - 1, known_at_us=OPEN_US - 1) == {}


async def test_the_tail_is_the_newest_by_event_time_not_by_arrival(store):
    await store.insert(readings([(0, 10, 1.0)]), epoch=1)
    await store.insert(readings([(0, 5, 2.0)], first_seq=2, recorded_us=RECORDED + 1), epoch=1)

    tails = await store.tails([FLOW, PRESSURE])

    assert tails == {FLOW.signal_id: Tail(T0 + 10 * SECOND, 1.0, 0, T0 + 10 * SECOND, 0)}
    assert await store.all_tails() == {("acme", FLOW.signal_id): tails[FLOW.signal_id]}


async def test_inserting_the_same_readings_again_changes_nothing(store):
    block = readings([(0, 0, 1.0), (1, 0, 2.0)])
    await store.insert(block, epoch=1)
    await store.insert(block, epoch=1)

    assert len(await store.stored([Span(FLOW, T0, T0), Span(PRESSURE, T0, T0)], epoch=1)) == 2


async def test_every_stored_version_of_a_span_is_returned_with_its_place(store):
    await store.insert(readings([(0, 0, 1.0), (1, 1, 7.0), (0, 9, 3.0)]), epoch=4)
    await store.insert(readings([(0, 0, 1.5)], first_seq=9, recorded_us=RECORDED + 1), epoch=5)

    keys = await store.stored(
        [Span(PRESSURE, T0, T0 + 2 * SECOND), Span(FLOW, T0, T0 + SECOND)], epoch=5
    )

    found = sorted(
        zip(keys.signal_ix.tolist(), keys.value.tolist(), keys.raw_seq.tolist(), strict=True)
    )
    assert found == [(0, 7.0, -1), (1, 1.0, -1), (1, 1.5, 9)]


async def test_latest_obeys_the_times_of_the_read(store):
    await store.insert(readings([(0, 0, 1.0), (0, 10, 2.0)]), epoch=1)
    await store.insert(readings([(0, 10, 2.5)], first_seq=3, recorded_us=RECORDED + 50), epoch=1)
    end = OPEN_US - 1

    async def value(as_of_us=end, known_at_us=end):
        found = await store.latest([FLOW], as_of_us=as_of_us, known_at_us=known_at_us)
        return found[FLOW.signal_id].value if found else None

    assert await value() == 2.5
    assert await value(known_at_us=RECORDED + 49) == 2.0
    assert await value(as_of_us=T0 + 9 * SECOND) == 1.0
    assert await value(as_of_us=T0 - 1) is None
    assert await value(known_at_us=RECORDED - 1) is None


async def test_latest_finds_a_signal_that_was_silent_for_years(store):
    await store.insert(readings([(0, 0, 1.0)]), epoch=1)
    later = to_us(parse_time("2031-01-01T00:00:00Z"))

    found = await store.latest([FLOW, PRESSURE], as_of_us=later, known_at_us=OPEN_US - 1)

    assert set(found) == {FLOW.signal_id}


async def test_history_holds_each_key_once_in_its_newest_known_version(store):
    await store.insert(readings([(0, 2, 3.0), (0, 0, 1.0), (0, 1, 2.0)]), epoch=1)
    await store.insert(readings([(0, 1, 9.0)], first_seq=9, recorded_us=RECORDED + 7), epoch=1)

    async def values(known_at_us, limit=10):
        points = await store.history(
            FLOW,
            start_us=T0,
            end_us=T0 + 2 * SECOND,
            known_at_us=known_at_us,
            limit=limit,
        )
        return [p.mean for p in points]

    assert await values(OPEN_US - 1) == [1.0, 9.0]
    assert await values(RECORDED) == [1.0, 2.0]
    assert await values(OPEN_US - 1, limit=1) == [1.0]


async def test_another_tenant_shares_nothing_even_under_one_signal_id(store):
    other = signal(1, tenant="globex")
    await store.insert(readings([(0, 0, 1.0)], signals=(other,)), epoch=1)

    assert await store.tails([FLOW]) == {}
    assert await store.latest([FLOW], as_of_us=OPEN_US - 1, known_at_us=OPEN_US - 1) == {}
    assert len(await store.stored([Span(FLOW, T0, T0)], epoch=1)) == 0


async def test_readings_are_forgotten_by_when_they_were_recorded_not_by_when_they_were_true(store):
    old, new = RECORDED, RECORDED + 60 * SECOND
    await store.insert(readings([(0, 100, 1.0), (1, 0, 2.0)], recorded_us=old), epoch=1)
    await store.insert(readings([(0, 0, 3.0)], recorded_us=new, first_seq=9), epoch=1)

    assert await store.forget(before_us=old) == 0
    assert await store.forget(before_us=new) == 2
    assert await store.forget(before_us=new) == 0
    latest = await store.latest([FLOW, PRESSURE], as_of_us=OPEN_US - 1, known_at_us=OPEN_US - 1)
    assert {name: reading.value for name, reading in latest.items()} == {FLOW.signal_id: 3.0}
