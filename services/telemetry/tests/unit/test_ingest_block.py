"""The use case itself over the memory store: crashes, cuts and repetition change no count."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry.adapters.memory import MemoryReadingStore
from telemetry.decide.resolve import Resolution
from telemetry.model.ingest import Counts, Cursor
from telemetry.model.raw import RawMessage
from telemetry.usecases.board import SignalBoard
from telemetry.usecases.ingest import IngestBlock, StampLimits
from telemetry.wire.raw import BlockDecoder
from twinmesh_sdk.core.times import from_us

NOW = 1_767_225_600_000_000


class Killed(BaseException):
    """The process ends here."""


class World:
    """Everything that outlives a process, and a process that may be killed at a stage."""

    def __init__(self, signals):
        self.store = MemoryReadingStore()
        self.signals = {s.foreign_name: s for s in signals}
        self.published = []
        self.cursor = Cursor(epoch=1)
        self.totals = Counts()
        self.rows = []
        self.wall_us = NOW
        self.killed_at = None
        self.restart()

    def restart(self):
        self.ingest = IngestBlock(
            stream="RAW",
            store=self,
            directory=self,
            truth=self,
            ledger=self,
            board=SignalBoard(),
            clock=self,
            limits=StampLimits(),
        )

    def __getattr__(self, name):
        return getattr(self.__dict__["store"], name)

    def wall_now(self):
        self.wall_us += 1000
        return from_us(self.wall_us)

    async def resolve(self, wanted):
        devices = {name.device for name in self.signals}
        return [
            Resolution(
                definitions=(self.signals[w.name],) if w.name in self.signals else (),
                device_known=w.name.device in devices,
            )
            for w in wanted
        ]

    def stage(self, name):
        if self.killed_at == name:
            self.killed_at = None
            raise Killed

    async def insert(self, readings, *, epoch):
        self.stage("before insert")
        await self.store.insert(readings, epoch=epoch)
        self.stage("after insert")

    async def publish(self, readings, *, epoch):
        self.published += list(zip(readings.raw_seq, readings.raw_ix, strict=True))
        self.stage("after publish")
        return 1

    async def commit(self, outcome):
        self.stage("before commit")
        assert outcome.before == self.cursor
        self.cursor = outcome.after
        for count in outcome.counts.values():
            self.totals += count
        self.rows += outcome.quarantine

    async def take(self, messages):
        block = BlockDecoder().decode(
            messages, epoch=1, arrival=lambda tenant, wall_us: wall_us, replays={}
        )
        await self.ingest(block, self.cursor)


def messages_of(readings):
    """Readings are (device, seconds, value)."""
    return [
        RawMessage(
            subject=f"raw.acme.skid.p{device}.flow",
            data=json.dumps({"ts": NOW / 1e6 - 100 + at, "value": value}).encode(),
            seq=n + 1,
            stamped_us=NOW,
        )
        for n, (device, at, value) in enumerate(readings)
    ]


async def run(signals, messages, cuts=(), kills=()):
    """Ingest in blocks; at each kill the process ends, and the next blocks are cut elsewhere."""
    world = World(signals)
    kills = list(kills)
    cuts = list(cuts) or [len(messages)]
    turn = 0
    while world.cursor.last_seq < len(messages):
        size = cuts[turn % len(cuts)]
        turn += 1
        at = world.cursor.last_seq
        world.killed_at = kills.pop() if kills else None
        try:
            await world.take(messages[at : at + size])
        except Killed:
            world.restart()
    return world


readings = st.lists(
    st.tuples(
        st.integers(1, 4),  # 3 and 4 are not defined
        st.integers(0, 8),
        st.sampled_from([0.0, 1.0, 2.0, float("nan")]),
    ),
    min_size=1,
    max_size=30,
)
STAGES = ("before insert", "after insert", "after publish", "before commit")


@pytest.fixture(scope="session")
def signals(signal):
    return [signal(1), signal(2)]


@given(
    sent=readings,
    cuts=st.lists(st.integers(1, 10), max_size=5),
    kills=st.lists(st.sampled_from(STAGES), max_size=8),
)
@settings(max_examples=150, deadline=None)
async def test_crashes_and_cuts_change_neither_counts_nor_store(signals, sent, cuts, kills):
    messages = messages_of(sent)
    calm = await run(signals, messages)
    stormy = await run(signals, messages, cuts, kills)

    assert stormy.totals == calm.totals
    assert calm.totals.received == len(sent)
    assert len(stormy.store.rows) == len(calm.store.rows) == calm.totals.stored
    assert {(r.signal_id, r.observed_us, r.value) for r in stormy.store.rows} == {
        (r.signal_id, r.observed_us, r.value) for r in calm.store.rows
    }
    assert [r.quarantine_id for r in stormy.rows] == [r.quarantine_id for r in calm.rows]
    assert set(stormy.published) == set(calm.published)


@given(sent=readings, order=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
async def test_overlap_and_shuffle_equal_one_clean_load(signals, sent, order):
    shuffled = [*sent, *sent]
    order.shuffle(shuffled)

    clean = await run(signals, messages_of(sent))
    twice = await run(signals, messages_of(shuffled), cuts=[3, 5])

    kept = {(r.signal_id, r.observed_us, r.value) for r in clean.store.rows}
    assert {(r.signal_id, r.observed_us, r.value) for r in twice.store.rows} == kept
    assert twice.totals.stored == clean.totals.stored
    assert twice.totals.received == 2 * len(sent)
    ends = await clean.store.latest(signals, as_of_us=NOW, known_at_us=NOW * 2)
    assert {k: v.observed_us for k, v in ends.items()} == {
        k: v.observed_us
        for k, v in (await twice.store.latest(signals, as_of_us=NOW, known_at_us=NOW * 2)).items()
    }


async def test_units_become_si_and_the_range_is_judged_in_them(signal):
    cold = signal(1, unit="K", source_unit="Cel", range_min=273.15, range_max=373.15)
    world = await run([cold], messages_of([(1, 0, 20.0), (1, 1, -10.0)]))

    assert [(r.value, r.status) for r in world.store.rows] == [
        (293.15, 0),
        (pytest.approx(263.15), 0x803C0000),
    ]


async def test_a_unit_that_cannot_be_converted_is_quarantined_by_name(signal):
    odd = signal(1, unit="Pa", source_unit="Cel")
    world = await run([odd], messages_of([(1, 0, 20.0)]))

    assert [row.reason.value for row in world.rows] == ["UNKNOWN_UNIT"]
    assert world.totals == Counts(received=1, quarantined=1)


async def test_readings_outside_a_definitions_validity_wait_for_one_that_is(signal):
    late = replace(signal(1), valid_from_us=NOW - 95_000_000)
    world = await run([late], messages_of([(1, 0, 1.0), (1, 9, 1.0)]))

    assert world.totals == Counts(received=2, stored=1, quarantined=1)
    assert world.rows[0].reason.value == "UNKNOWN_SIGNAL"


async def test_zoneless_stamps_take_the_zone_that_the_signal_declares(signal):
    declared = signal(1, time_zone="Europe/London")
    undeclared = signal(2)
    messages = [
        RawMessage(
            subject=f"raw.acme.skid.p{n}.flow",
            data=b'{"ts": "2025-07-01T12:00:00", "value": 1}',
            seq=n,
            stamped_us=NOW,
        )
        for n in (1, 2)
    ]
    world = await run([declared, undeclared], messages)

    assert [from_us(r.observed_us).hour for r in world.store.rows] == [11]
    assert [row.reason.value for row in world.rows] == ["NO_ZONE"]
