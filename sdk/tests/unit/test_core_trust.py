"""Trust: how freshness is judged and how trusts combine, for any input."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.trust import (
    CLOCK_RESOLUTION_S,
    FRESH_CADENCES,
    Budget,
    Quality,
    Reason,
    Trust,
    Verdict,
    combine,
    freshness,
    next_change,
    severity,
    worse,
    worst_rank,
)
from twinmesh_sdk.testing.clock import START

MOMENTS = st.integers(0, 10**7).map(lambda s: START + timedelta(seconds=s))
SECONDS = st.floats(0.01, 1e6)
REASONS = st.builds(Reason, st.sampled_from(["STALE_INPUT", "STUCK"]), st.sampled_from("ab"))
VERDICTS = st.sampled_from(Verdict)


@st.composite
def trusts(draw):
    verdict = draw(VERDICTS)
    seen = verdict is not Verdict.ABSENT
    return Trust(
        verdict,
        quality=draw(st.sampled_from(Quality)),
        observed_at=draw(MOMENTS) if seen else None,
        arrived_at=draw(MOMENTS) if seen else None,
        decision=draw(st.sampled_from(["trip", "plan"])),
        budget_s=draw(st.sampled_from([60.0, 3600.0])),
        age_s=draw(st.integers(0, 1000)) if seen else None,
        configuration_version=draw(st.sampled_from(["cfg_a", "cfg_b"])),
        reasons=tuple(draw(st.lists(REASONS, max_size=2, unique=True))),
    )


@given(st.lists(trusts(), min_size=1, max_size=6), st.randoms())
def test_the_order_of_inputs_does_not_matter(inputs, random):
    shuffled = list(inputs)
    random.shuffle(shuffled)

    assert combine(shuffled) == combine(inputs)


@given(trusts(), trusts(), trusts())
def test_verdict_quality_age_and_reasons_do_not_depend_on_grouping(a, b, c):
    left, right = combine([combine([a, b]), c]), combine([a, combine([b, c])])

    for name in ("verdict", "quality", "observed_at", "arrived_at", "age_s", "reasons"):
        assert getattr(left, name) == getattr(right, name), name


@given(trusts())
def test_one_input_is_trusted_like_itself(trust):
    combined = combine([trust])

    assert combined.verdict is trust.verdict
    assert combined.observed_at == trust.observed_at
    assert set(combined.reasons) == set(trust.reasons)


@given(st.lists(trusts(), min_size=1, max_size=6))
def test_a_derived_value_is_never_trusted_more_than_an_input(inputs):
    combined = combine(inputs)

    for trust in inputs:
        assert worst_rank(combined) >= (worst_rank(trust)[0], 0)
        assert combined.quality >= trust.quality


@given(st.lists(trusts(), max_size=5))
def test_stale_is_contagious_unless_something_is_absent(inputs):
    combined = combine([*inputs, Trust(Verdict.STALE, observed_at=START)])

    absent = any(t.verdict is Verdict.ABSENT for t in inputs)
    assert combined.verdict is (Verdict.ABSENT if absent else Verdict.STALE)


@given(trusts())
def test_unassessed_is_not_contagious(trust):
    assert combine([Trust(Verdict.UNASSESSED, observed_at=START), trust]).verdict is trust.verdict


@given(VERDICTS, VERDICTS)
def test_the_worse_of_two_is_one_of_them_in_either_order(one, other):
    assert worse(one, other) in (one, other)
    assert worse(one, other) is worse(other, one) or {one, other} == {
        Verdict.UNASSESSED,
        Verdict.FRESH,
    }


@given(st.lists(trusts(), min_size=1, max_size=4))
def test_what_was_never_seen_leaves_the_whole_unseen(inputs):
    absent = Trust(Verdict.ABSENT)

    assert combine([*inputs, absent]).observed_at is None
    assert combine([*inputs, absent]).age_s is None


def test_no_input_is_an_error():
    with pytest.raises(InvalidInputError):
        combine([])


ORDER = [Verdict.FRESH, Verdict.LATE, Verdict.STALE]


@given(st.floats(0, 1e5), st.floats(0, 1e5), SECONDS, st.floats(5, 1e6))
def test_a_value_never_becomes_fresher_by_waiting(first_s, more_s, cadence_s, budget_s):
    def judged(age_s):
        now = START + timedelta(seconds=age_s)
        return ORDER.index(
            freshness(observed_at=START, now=now, cadence_s=cadence_s, budget_s=budget_s)
        )

    assert judged(first_s) <= judged(first_s + more_s)


@given(SECONDS, st.floats(5, 1e6), st.floats(0.001, 1e5))
def test_beyond_the_budget_is_stale_whatever_the_cadence(cadence_s, budget_s, beyond_s):
    now = START + timedelta(seconds=budget_s + beyond_s)

    verdict = freshness(observed_at=START, now=now, cadence_s=cadence_s, budget_s=budget_s)

    assert verdict is Verdict.STALE


@given(st.floats(1, 3600), SECONDS)
def test_a_budget_that_the_clock_cannot_resolve_is_unassessed(speed, cadence_s):
    budget_s = CLOCK_RESOLUTION_S * speed * 0.999

    verdict = freshness(
        observed_at=START, now=START, cadence_s=cadence_s, budget_s=budget_s, speed=speed
    )

    assert verdict is Verdict.UNASSESSED


def test_a_value_from_the_future_is_fresh_and_one_never_seen_absent():
    later = START + timedelta(seconds=5)

    assert freshness(observed_at=later, now=START, cadence_s=1.0, budget_s=60.0) is Verdict.FRESH
    assert freshness(observed_at=None, now=START, cadence_s=1.0, budget_s=60.0) is Verdict.ABSENT


@given(st.floats(0.1, 1e4), st.floats(5, 1e5), st.integers(0, 10**6))
def test_the_verdict_changes_at_the_next_change_and_not_before(cadence_s, budget_s, age_s):
    now = START + timedelta(seconds=age_s)
    change = next_change(observed_at=START, now=now, cadence_s=cadence_s, budget_s=budget_s)

    def judged(moment):
        return freshness(observed_at=START, now=moment, cadence_s=cadence_s, budget_s=budget_s)

    if change is None:
        assert judged(now) is Verdict.STALE
    else:
        assert change > now
        assert judged(change - timedelta(microseconds=2)) is judged(now)


@given(st.integers(0, 2**32 - 1))
def test_every_status_code_has_a_severity(code):
    assert severity(code) in Quality


@pytest.mark.parametrize(
    ("code", "quality"),
    [(0, Quality.GOOD), (0x40000000, Quality.UNCERTAIN), (0x80000000, Quality.BAD),
     (0xC0000000, Quality.BAD)],
)  # fmt: skip
def test_the_two_top_bits_are_the_severity(code, quality):
    assert severity(code) is quality


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf"), float("nan")])
def test_a_budget_is_a_positive_bound(seconds):
    with pytest.raises(InvalidInputError):
        Budget("trip", seconds)


def test_three_cadences_are_fresh():
    now = START + timedelta(seconds=FRESH_CADENCES * 10)

    assert freshness(observed_at=START, now=now, cadence_s=10.0, budget_s=60.0) is Verdict.FRESH
