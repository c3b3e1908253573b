import pytest

from governance.decide.charter_meaning import check_charter_meaning
from governance.decide.charter_shape import MAX_FINDINGS, check_charter_shape


def codes(findings):
    return [finding.code for finding in findings]


def test_a_whole_charter_of_a_domain_passes(charter):
    assert check_charter_shape("pump-twin", charter()) == []


def test_a_foundation_answers_only_what_concerns_it(charter):
    assert check_charter_shape("registry", charter("registry", kind="foundation")) == []


@pytest.mark.parametrize(
    "part",
    [
        "decision", "fidelity", "sources", "freshness", "on_bad_data", "authority", "inference",
        "governance", "workflow", "scale", "value", "owner",
    ],
)  # fmt: skip
def test_a_domain_that_leaves_a_question_open_is_refused(charter, part):
    findings = check_charter_shape("pump-twin", charter(**{part: None}))

    assert codes(findings) == ["CHARTER_SCHEMA"]
    assert part in findings[0].message


def test_a_domain_without_a_mandatory_source_is_refused(charter):
    findings = check_charter_shape("p", charter(sources={"mandatory": []}))

    assert [f.subject for f in findings] == ["sources.mandatory"]


@pytest.mark.parametrize("budget_s", [0, -1, "60", None, 1e12])
def test_a_budget_is_a_positive_number_of_seconds(charter, budget_s):
    made = charter(freshness=[{"decision": "trip", "budget_s": budget_s}])

    assert codes(check_charter_shape("p", made)) == ["CHARTER_SCHEMA"]


def test_a_misspelt_part_is_named(charter):
    findings = check_charter_shape("p", charter(descision="x"))

    assert "descision" in findings[0].message


def test_a_hopeless_charter_yields_a_bounded_list():
    charter = {f"x{n}": n for n in range(500)}
    charter["freshness"] = [{"decision": "x"} for _ in range(500)]

    assert len(check_charter_shape("p", charter)) <= MAX_FINDINGS


@pytest.mark.parametrize("answer", ["TBD", " none ", "n/a", "unknown."])
def test_an_empty_word_is_no_decision(bundle, answer):
    found = check_charter_meaning(bundle(decision=answer))

    assert codes(found) == ["DOMAIN_WITHOUT_DECISION"]


def test_a_decision_without_workflow_is_refused(bundle):
    assert codes(check_charter_meaning(bundle(workflow="none"))) == ["DECISION_WITHOUT_WORKFLOW"]


def test_a_predictive_twin_names_its_metric(bundle):
    vague = bundle(fidelity={"level": "predictive"})
    precise = bundle(fidelity={"level": "predictive", "metric": "Brier score", "target": 0.1})

    assert codes(check_charter_meaning(vague)) == ["PREDICTION_WITHOUT_METRIC"]
    assert check_charter_meaning(precise) == []


def test_a_subgraph_without_an_address_is_refused(bundle):
    made = bundle(sdl="type Query { a: Int }", url="")

    assert codes(check_charter_meaning(made)) == ["SUBGRAPH_WITHOUT_ADDRESS"]


def test_a_decision_has_one_budget_in_its_own_charter(bundle):
    twice = [{"decision": "trip", "budget_s": 60}, {"decision": "trip", "budget_s": 61}]

    assert codes(check_charter_meaning(bundle(freshness=twice))) == ["DECLARED_TWICE"]
