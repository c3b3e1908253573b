"""Charter against reality: measured ever after, breached with patience, restored with a margin."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide.reality import WINDOW, by_hour, judge, promises_of
from governance.model.reality import Kind, Measure, Promise, Standing

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
PATIENCE = timedelta(minutes=5)
SHARE = Promise("pump-twin", Kind.FRESHNESS, "trip", at_least=0.9)


def follow(values, promise=SHARE, every=timedelta(minutes=1)):
    """Measure these values one after the other; returns every standing."""
    reality, standings = None, []
    for number, value in enumerate(values):
        measure = None if value is None else Measure(value, 10)
        reality = judge(
            reality, promise, measure, tenant="acme", now=NOW + number * every, patience=PATIENCE
        )
        standings.append(reality)
    return standings


def names(values, **more):
    return [r.standing.value for r in follow(values, **more)]


def test_a_kept_promise_is_kept_at_once_and_a_missing_measure_says_so():
    assert names([None, 0.95]) == ["UNMEASURED", "KEPT"]


def test_one_bad_measure_is_no_breach_and_five_minutes_of_them_are():
    assert names([0.95, 0.5, 0.95, *[0.5] * 6]) == ["KEPT"] * 8 + ["BREACHED"]


def test_a_promise_that_was_never_kept_is_breached_after_the_same_patience():
    assert names([0.5] * 6) == ["UNMEASURED"] * 5 + ["BREACHED"]


def test_a_breach_ends_when_it_is_better_than_promised_for_as_long():
    breached = [0.5] * 6
    assert names([*breached, *[0.9] * 10])[-1] == "BREACHED"
    assert names([*breached, *[0.95] * 6])[5:] == ["BREACHED"] * 6 + ["KEPT"]
    assert names([*breached, *[0.95] * 4, 0.5, *[0.95] * 5])[-1] == "BREACHED"


def test_a_share_of_one_can_be_kept_again():
    whole = Promise("p", Kind.COVERAGE, "trip", at_least=1.0)

    assert names([*[0.5] * 6, *[1.0] * 6], promise=whole)[-1] == "KEPT"


def test_silence_does_not_end_a_breach():
    assert names([*[0.5] * 6, *[None] * 10])[-1] == "BREACHED"


def test_an_upper_bound_is_a_bound():
    volume = Promise("p", Kind.VOLUME, "events", at_least=1, at_most=100)

    assert names([50, *[500] * 6], promise=volume)[-1] == "BREACHED"
    assert names([*[0] * 6], promise=volume)[-1] == "BREACHED"


def test_what_is_not_promised_is_measured_all_the_same():
    assert names([None, 0.2], promise=Promise("p", Kind.FRESHNESS, "trip")) == [
        "UNMEASURED", "UNPROMISED",
    ]  # fmt: skip


@given(st.lists(st.sampled_from([0.5, 0.95, None]), max_size=40))
def test_standings_never_flap_faster_than_patience(values):
    changed = [
        later.since
        for earlier, later in itertools.pairwise(follow(values))
        if later.standing is not earlier.standing
        and Standing.BREACHED in {later.standing, earlier.standing}
    ]

    assert all(b - a >= PATIENCE for a, b in itertools.pairwise(changed))


@given(st.lists(st.sampled_from([0.5, 0.95, None]), max_size=40))
def test_a_version_counts_every_standing(values):
    versions = [r.version for r in follow(values)]

    assert versions == sorted(versions)
    assert all(v >= 1 for v in versions)


@given(st.integers(0, 10**6), st.integers(0, 10**5).map(lambda s: timedelta(seconds=s)))
def test_the_hours_of_a_stretch_are_the_stretch(offset, length):
    start = NOW + timedelta(seconds=offset)
    parts = list(by_hour(start, start + length))

    expected = min(length, WINDOW + timedelta(hours=1)).total_seconds()
    assert sum(seconds for _, seconds in parts) == pytest.approx(expected)
    assert all(0 < seconds <= 3600 for _, seconds in parts)
    assert len({hour for hour, _ in parts}) == len(parts)


def test_a_charter_promises_per_decision_and_is_measured_where_it_promises_nothing(bundle):
    made = bundle(
        freshness=[{"decision": "trip", "budget_s": 60}, {"decision": "review", "budget_s": 600}],
        promises={"freshness_share": 0.95, "fidelity": {"metric": "recall", "at_least": 0.75}},
        events=[("pump.a.opened.v1", "twinmesh.pump.v1.Opened")],
    )

    assert promises_of(made) == [
        Promise("pump-twin", Kind.FRESHNESS, "trip", 0.95),
        Promise("pump-twin", Kind.COVERAGE, "trip"),
        Promise("pump-twin", Kind.FRESHNESS, "review", 0.95),
        Promise("pump-twin", Kind.COVERAGE, "review"),
        Promise("pump-twin", Kind.VOLUME, "events"),
        Promise("pump-twin", Kind.FIDELITY, "recall", 0.75),
    ]
