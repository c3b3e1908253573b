from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.decide.verdicts import VERDICTS, Watch, trust_of, verdict_codes
from telemetry.model.reading import Tail
from telemetry.usecases.board import SignalBoard
from telemetry.usecases.freshness import JudgeFreshness
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.core.trust import Budget, Verdict, freshness

NOW = 1_767_225_600_000_000


@given(
    age_us=st.integers(-(10**7), 10**12),
    cadence_s=st.floats(0.1, 4000),
    budget_s=st.floats(0.5, 10**6),
    speed=st.sampled_from([1.0, 60.0, 3600.0]),
)
def test_the_columns_judge_as_the_core_rule_does(signal, age_us, cadence_s, budget_s, speed):
    one = signal(cadence_s=cadence_s)
    watch = Watch.over([one], [Budget("plan", 1e9), Budget("trip", budget_s)])

    codes = verdict_codes(watch, np.array([NOW - age_us]), now_us=NOW, speed=speed)

    assert watch.key(1) == (one.signal_id, "trip")
    assert VERDICTS[codes[1]] is freshness(
        observed_at=from_us(NOW - age_us),
        now=from_us(NOW),
        cadence_s=cadence_s,
        budget_s=budget_s,
        speed=speed,
    )


class Told:
    """Keeps verdicts as the database does."""

    def __init__(self):
        self.states = {}
        self.changes = []

    async def all(self):
        return list(self.states.values())

    async def save(self, changes):
        for change in changes:
            key = (change.now.signal_id, change.now.decision)
            before = self.states.get(key)
            assert change.before == before
            assert change.now.version == (before.version + 1 if before else 1)
            self.states[key] = change.now
        self.changes += changes


class Clock:
    def __init__(self):
        self.us = NOW
        self.factor = 1.0

    def plant_now(self, tenant):
        return from_us(self.us)

    def speed(self, tenant):
        return self.factor


async def test_a_change_is_told_once_with_the_moment_it_became_true_also_after_a_restart(signal):
    one, told, clock = signal(), Told(), Clock()
    board = SignalBoard()

    def judge():
        budgets = {"trip": Budget("trip", 60.0)}
        return JudgeFreshness(board=board, verdicts=told, budgets=lambda: budgets, clock=clock)

    judging = judge()

    async def tick(seconds):
        clock.us = NOW + round(seconds * 1e6)
        told.changes.clear()
        await judging()
        return [(c.now.verdict, c.now.effective_at) for c in told.changes]

    assert await tick(0) == []
    board.note(one, Tail(NOW, 1.0, -1, NOW, 0))
    assert await tick(1) == [(Verdict.FRESH, from_us(NOW + 1_000_000))]
    assert await tick(2) == []
    assert await tick(4.5) == []
    assert await tick(5.5) == [(Verdict.LATE, from_us(NOW) + timedelta(seconds=3))]
    judging = judge()
    assert await tick(6) == []
    assert await tick(61) == [(Verdict.STALE, from_us(NOW) + timedelta(seconds=60))]
    assert await tick(1000) == []
    board.note(one, Tail(NOW + 1_000_000_000, 1.0, -1, NOW + 1_000_000_000, 0))
    assert [verdict for verdict, _ in await tick(1001)] == [Verdict.FRESH]
    clock.factor = 60.0
    assert [verdict for verdict, _ in await tick(1002)] == [Verdict.UNASSESSED]


def test_a_restamped_value_goes_stale_from_when_its_source_stopped(signal):
    trust = trust_of(
        signal=signal(),
        observed_us=NOW,
        advanced_us=NOW - 100_000_000,
        arrived_us=NOW,
        status=0x40900000,
        budget=Budget("trip", 60.0),
        now=from_us(NOW),
        speed=1.0,
    )
    assert trust.verdict is Verdict.STALE
    assert {r.code for r in trust.reasons} == {"STALE_INPUT", "RESTAMPED", "QUALITY"}


def test_a_signal_never_seen_is_absent(signal):
    trust = trust_of(
        signal=signal(),
        observed_us=None,
        advanced_us=None,
        arrived_us=None,
        status=0,
        budget=None,
        now=from_us(NOW),
        speed=1.0,
    )
    assert trust.verdict is Verdict.ABSENT
