"""Rules that hold a charter against those it builds on."""

import pytest

from governance.decide.charter_meaning import check_charter_meaning
from governance.decide.charter_shape import check_charter_shape
from governance.decide.charter_sources import check_sources
from governance.decide.evidence import Evidence
from governance.decide.registration import judge
from governance.model.contracts import Mesh


def from_telemetry(part="mandatory", provider="telemetry"):
    flow = {"name": "flow", "from": provider}
    return {"mandatory": ["the plant"], "optional": []} | {part: [flow]}


@pytest.fixture
def telemetry(bundle):
    return bundle("telemetry", kind="foundation", promises={"output_age_s": 5})


def test_a_source_of_a_registered_service_passes(bundle, telemetry):
    assert check_sources(bundle(sources=from_telemetry()), [telemetry]) == []


@pytest.mark.parametrize("part", ["mandatory", "optional"])
def test_a_source_of_nobody_is_named(bundle, telemetry, part):
    found = check_sources(bundle(sources=from_telemetry(part, "historian")), [telemetry])

    assert [(f.code, f.subject) for f in found] == [("UNKNOWN_SOURCE", f"sources.{part}")]
    assert "historian" in found[0].message


def test_a_decision_that_wants_more_than_is_promised_names_both_and_whom_to_ask(bundle, telemetry):
    trip = [{"decision": "trip", "budget_s": 1}, {"decision": "review", "budget_s": 5}]
    found = check_sources(bundle(sources=from_telemetry(), freshness=trip), [telemetry])

    assert [(f.code, f.subject) for f in found] == [("FRESHER_THAN_PROMISED", "freshness.trip")]
    assert "1 s" in found[0].message
    assert "5 s" in found[0].message
    assert "a@example.com" in found[0].hint


def test_an_optional_source_may_be_older_than_a_decision_wants(bundle, telemetry):
    trip = [{"decision": "trip", "budget_s": 1}]

    assert (
        check_sources(bundle(sources=from_telemetry("optional"), freshness=trip), [telemetry]) == []
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_source_in_the_same_push_is_known_in_any_order(bundle, telemetry, composer, now, order):
    pushed = [telemetry, bundle(sources=from_telemetry())][::order]
    evidence = Evidence(now=now)
    judged = judge(Mesh(()), pushed, composer.compose, evidence=evidence, pushed_by="ci", now=now)

    assert [o.findings for o in judged.outcomes] == [(), ()]


@pytest.mark.parametrize(
    ("decision", "codes"),
    [
        ("Repair now, or at the next stop?", []),
        ({"what": "Repair?", "how_often": "daily"}, []),
        ({"what": "Repair?"}, ["DECISION_WITHOUT_CADENCE"]),
        ({"what": "Repair?", "how_often": "tbd"}, ["DECISION_WITHOUT_CADENCE"]),
    ],
)
def test_a_decision_told_in_parts_says_how_often(bundle, decision, codes):
    assert [f.code for f in check_charter_meaning(bundle(decision=decision))] == codes


@pytest.mark.parametrize(
    ("promises", "fits"),
    [
        ({"freshness_share": 0.95, "coverage_share": 0.9, "events_per_day": {"at_most": 5}}, True),
        ({"fidelity": {"metric": "recall", "at_least": 0.75}}, True),
        ({"freshness_share": 1.5}, False),
        ({"fidelity": {"metric": "recall"}}, False),
        ({"fidelity": {"at_least": 1}}, False),
        ({"everything": 1}, False),
        ({}, False),
    ],
)
def test_promises_can_be_measured(charter, promises, fits):
    assert (check_charter_shape("p", charter(promises=promises)) == []) is fits
