import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide import promotion
from governance.decide.promotion import Continue, Promote, PromotionRule, Reject, interval, judge
from governance.model.shadow import Comparison
from twinmesh_sdk.core.errors import InvalidInputError

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(minutes=10)
SOON = PromotionRule(least_windows=12, least_span=2 * WINDOW)
RANK = {Reject: 0, Continue: 1, Promote: 2}


def compared(index, champion=1.0, challenger=1.0, *, asset="a", pairs=500, disagreements=0):
    return Comparison(
        asset=asset,
        from_at=T0 + index * WINDOW,
        to_at=T0 + (index + 1) * WINDOW,
        pairs=pairs,
        champion_error=champion,
        challenger_error=challenger,
        judged=pairs + disagreements,
        disagreements=disagreements,
    )


def with_gain(index, gain, asset="a"):
    return compared(index, 1.0 + gain, 1.0 - gain, asset=asset)


def noisy(generator, mean, count, spread=0.1):
    gains = (max(-1.0, min(1.0, generator.gauss(mean, spread))) for _ in range(count))
    return [with_gain(i, g) for i, g in enumerate(gains)]


gains_of = st.lists(st.floats(-1, 1), min_size=1, max_size=60)


def test_a_challenger_that_errs_less_is_promoted():
    outcome = judge([compared(i, 1.0, 0.7) for i in range(120)], SOON)
    assert isinstance(outcome, Promote)
    assert outcome.evidence.low > 0


def test_a_challenger_that_errs_more_is_rejected():
    outcome = judge([compared(i, 1.0, 1.4) for i in range(120)], SOON)
    assert isinstance(outcome, Reject)
    assert outcome.why == "NOT_WORTH_IT"
    assert outcome.evidence.high < SOON.least_gain


def test_nothing_is_decided_on_nothing():
    outcome = judge([], PromotionRule())
    assert outcome == Continue(promotion.Evidence(), ("WINDOWS", "SPAN", "EVIDENCE"))


def test_no_promotion_before_the_least_count_and_span():
    better = [compared(i, 1.0, 0.1) for i in range(40)]
    assert isinstance(judge(better, SOON), Promote)
    few = judge(better, replace(SOON, least_windows=41))
    assert isinstance(few, Continue)
    assert few.waiting_for == ("WINDOWS",)
    short = judge(better, replace(SOON, least_span=timedelta(days=1)))
    assert isinstance(short, Continue)
    assert short.waiting_for == ("SPAN",)


def test_verdicts_that_differ_wait_for_a_person():
    better = [compared(i, 1.0, 0.1, pairs=90, disagreements=10) for i in range(40)]
    outcome = judge(better, SOON)
    assert isinstance(outcome, Continue)
    assert outcome.waiting_for == ("A_PERSON",)


def test_who_is_undecided_too_long_is_rejected(monkeypatch):
    monkeypatch.setattr(promotion, "MAX_WINDOWS", 100)
    rule = replace(SOON, least_gain=0.001)
    undecided = [with_gain(i, 0.0) for i in range(100)]
    assert isinstance(judge(undecided[:99], rule), Continue)
    outcome = judge(undecided, rule)
    assert isinstance(outcome, Reject)
    assert outcome.why == "UNDECIDED_TOO_LONG"


@given(gains_of, st.integers(0, 2**32))
def test_the_order_of_arrival_does_not_matter(gains, seed):
    windows = [with_gain(i // 3, g, asset=str(i % 3)) for i, g in enumerate(gains)]
    shuffled = list(windows)
    random.Random(seed).shuffle(shuffled)
    assert judge(windows, SOON) == judge(shuffled, SOON)


@given(gains_of, st.lists(st.floats(0, 1), min_size=60, max_size=60))
def test_more_gain_is_never_held_against_the_challenger(gains, more):
    base = [with_gain(i, g) for i, g in enumerate(gains)]
    raised = [with_gain(i, g + (1 - g) * m) for i, (g, m) in enumerate(zip(gains, more))]  # noqa: B905 - more is longer
    assert RANK[type(judge(raised, SOON))] >= RANK[type(judge(base, SOON))]


@given(gains_of)
def test_swapping_the_two_swaps_the_interval(gains):
    low, high = interval(gains, above_rate=0.05, below_rate=0.05)
    swapped = interval([-g for g in gains], above_rate=0.05, below_rate=0.05)
    assert (low, high) == (-swapped[1], -swapped[0])
    assert -1 <= low <= high <= 1


@given(st.lists(st.floats(-1, 1), min_size=20, max_size=60), st.floats(-0.5, 0.8))
def test_interval_and_decision_agree(gains, shift):
    windows = [with_gain(i, max(-1, min(1, g / 4 + shift))) for i, g in enumerate(gains)]
    outcome = judge(windows, SOON)
    assert isinstance(outcome, Promote) <= (outcome.evidence.low > 0 - 1e-6)
    if isinstance(outcome, Reject):
        assert outcome.evidence.high <= SOON.least_gain + 1e-6


@given(gains_of, st.integers(0, 59))
def test_what_was_decided_stays_decided(gains, cut):
    windows = [with_gain(i, g) for i, g in enumerate(gains)]
    first = judge(windows[:cut], SOON)
    if not isinstance(first, Continue):
        assert judge(windows, SOON) == first


def test_a_challenger_that_is_no_better_is_seldom_promoted_however_often_one_looks():
    generator = random.Random(20260101)
    rule = replace(SOON, false_promotion=0.05, false_rejection=1e-9, least_windows=1)
    promoted = sum(
        isinstance(judge(noisy(generator, 0.0, 100, spread=0.4), rule), Promote) for _ in range(200)
    )
    # 10 expected at the bound itself; three standard deviations above it.
    assert promoted <= 10 + 3 * math.sqrt(10 * 0.95)


def test_a_challenger_worth_it_is_seldom_rejected():
    generator = random.Random(20260102)
    rule = replace(SOON, false_promotion=1e-9, false_rejection=0.05, least_gain=0.1)
    rejected = sum(
        isinstance(judge(noisy(generator, 0.1, 100, spread=0.4), rule), Reject) for _ in range(200)
    )
    assert rejected <= 10 + 3 * math.sqrt(10 * 0.95)


def test_dependent_windows_do_not_raise_the_false_promotions():
    """Volatility that follows the past leaves the gain fair, and the bound with it."""
    generator = random.Random(20260103)
    rule = replace(SOON, false_promotion=0.05, false_rejection=1e-9, least_windows=1)
    promoted = 0
    for _ in range(200):
        gains, spread = [], 0.1
        for _ in range(100):
            gain = generator.choice((-1.0, 1.0)) * spread
            spread = 0.9 if gain > 0 else 0.1
            gains.append(gain)
        windows = [with_gain(i, g) for i, g in enumerate(gains)]
        promoted += isinstance(judge(windows, rule), Promote)
    assert promoted <= 10 + 3 * math.sqrt(10 * 0.95)


def test_the_interval_holds_the_mean_at_all_times_at_once():
    generator = random.Random(20260104)
    missed = 0
    for _ in range(60):
        gains = [w.gain for w in noisy(generator, 0.05, 80, spread=0.3)]
        looks = (interval(gains[:n], above_rate=0.05, below_rate=0.05) for n in range(5, 81, 25))
        missed += any(not low <= 0.05 <= high for low, high in looks)
    assert missed <= 6 + 3 * math.sqrt(6 * 0.9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"false_promotion": 0.0},
        {"false_rejection": 0.5},
        {"least_gain": 0.0},
        {"least_windows": 0},
        {"least_span": timedelta(seconds=-1)},
        {"most_disagreement": 1.1},
    ],
)
def test_rules_under_which_the_test_means_nothing_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        PromotionRule(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": 0, "judged": 0},
        {"pairs": -1},
        {"judged": 499},
        {"champion_error": math.nan},
        {"challenger_error": -0.1},
        {"disagreements": 1},
        {"to_at": T0},
    ],
)
def test_comparisons_that_no_window_could_give_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        replace(compared(0), **wrong)
