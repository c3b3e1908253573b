from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from telemetry.decide.verdicts import Watch, changes, trust_of, verdict_codes
from telemetry.model.reading import Tail
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.core.trust import Budget, Verdict, freshness

NOW = 1_767_225_600_000_000
CODES = (Verdict.FRESH, Verdict.LATE, Verdict.STALE, Verdict.UNASSESSED)


def tail(us):
    return Tail(observed_us=us, value=1.0, sequence=-1, advanced_us=us, repeats=0)


@given(
    age_us=st.integers(-(10**7), 10**12),
    cadence_s=st.floats(0.1, 4000),
    budget_s=st.floats(0.5, 10**6),
    speed=st.sampled_from([1.0, 60.0, 3600.0]),
)
def test_the_columns_judge_as_the_core_rule_does(signal, age_us, cadence_s, budget_s, speed):
    one = signal(cadence_s=cadence_s)
    watch = Watch.over([(one, tail(NOW - age_us))], [Budget("trip", budget_s)])

    code = verdict_codes(watch, now_us=NOW, speed=speed)[0]

    assert CODES[code] is freshness(
        observed_at=from_us(NOW - age_us),
        now=from_us(NOW),
        cadence_s=cadence_s,
        budget_s=budget_s,
        speed=speed,
    )


def test_a_change_is_told_once_with_the_moment_it_became_true(signal):
    watch = Watch.over([(signal(), tail(NOW))], [Budget("trip", 60.0)])
    known = {}

    def tick(seconds):
        found = changes(watch, known, now_us=NOW + round(seconds * 1e6), speed=1.0, limit=10)
        for change in found:
            known[change.now.signal_id, change.now.decision] = change.now
        return [(c.now.verdict, c.now.version, c.now.effective_at) for c in found]

    assert tick(1) == [(Verdict.FRESH, 1, from_us(NOW + 1_000_000))]
    assert tick(2) == []
    assert tick(4.5) == []
    assert tick(5.5) == [(Verdict.LATE, 2, from_us(NOW) + timedelta(seconds=3))]
    assert tick(61) == [(Verdict.STALE, 3, from_us(NOW) + timedelta(seconds=60))]
    assert tick(1000) == []


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
