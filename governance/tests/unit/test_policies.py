"""Policies: what ships holds its tests; what does not hold, does not come into force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.decide.policies import Policies, check_policies, make, read_tests, shipped
from governance.model.policies import Thing
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal

MODEL = Thing("Model", "pump 1.0.0", author="mara")
EVERYTHING = "permit (principal, action, resource);"
TESTS = [
    {"name": "all may", "who": {"subject": "x"}, "may": "model.recall",
     "what": {"type": "Model", "id": "m"}},
    {"name": "not their own", "who": {"subject": "x"}, "may_not": "model.approve",
     "what": {"type": "Model", "id": "m", "author": "x"}},
]  # fmt: skip


def who(subject, *roles, tenant="acme", client=""):
    return Principal(subject, client or subject, Tenant(tenant), frozenset(roles))


@pytest.fixture(scope="module")
def policies():
    return Policies.read(shipped())


def test_what_ships_fits_its_schema_and_holds_its_tests():
    assert check_policies(shipped()) == []


def test_a_denial_says_what_would_be_needed(policies):
    ruling = policies.ask(who("tom"), "model.approve", MODEL)

    assert not ruling.permitted
    assert ruling.why == "it needs the role models.approve"


def test_what_is_forbidden_says_why_though_a_policy_permits_it(policies):
    ruling = policies.ask(who("mara", "models.approve"), "model.approve", MODEL)

    assert not ruling.permitted
    assert "another person" in ruling.why


def test_one_client_is_not_two_persons(policies):
    made = Thing("Model", "pump", author="ci")

    assert not policies.ask(
        who("tom", "models.approve", client="ci"), "model.approve", made
    ).permitted
    assert policies.ask(who("tom", "models.approve", client="x"), "model.approve", made).permitted


@given(
    st.sampled_from(["model.approve", "override.approve", "policy.approve"]),
    st.text(min_size=1, max_size=40),
)
def test_no_set_lets_an_author_approve(action, name):
    policies = Policies.read(make(1, EVERYTHING, TESTS))
    kind = {"model": "Model", "override": "Override", "policy": "PolicySet"}[action.split(".")[0]]

    assert not policies.ask(who(name), action, Thing(kind, "x", author=name)).permitted
    assert policies.ask(who(name), action, Thing(kind, "x", author=name + "!")).permitted


@pytest.mark.parametrize(
    ("action", "thing"),
    [
        ("model.fly", MODEL),
        ("model.approve", Thing("Aeroplane", "x")),
        ("contract.push", MODEL),
    ],
)
def test_what_the_schema_does_not_know_is_denied(action, thing):
    policies = Policies.read(make(1, EVERYTHING, TESTS))

    ruling = policies.ask(who("tom", "models.approve"), action, thing)

    assert not ruling.permitted
    assert ruling.why


def test_a_policy_that_fails_when_asked_denies_what_another_permits():
    cedar = (
        EVERYTHING + "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };"
    )

    ruling = Policies.read(make(1, cedar, TESTS)).ask(who("tom"), "model.recall", MODEL)

    assert not ruling.permitted


@pytest.mark.parametrize(
    ("cedar", "tests", "words"),
    [
        ("permit everything", TESTS, "no Cedar"),
        ('permit (principal, action == Action::"model.fly", resource);', TESTS, "schema"),
        ("permit (principal, action, resource) when { principal.shoe == 1 };", TESTS, "schema"),
        (EVERYTHING, [], "no test says"),
        (EVERYTHING, TESTS[:1], "may_not"),
        (EVERYTHING, [*TESTS, {"name": "x", "who": {"subject": "x"}}], "a test has"),
        (EVERYTHING, [*TESTS, {**TESTS[0], "may_not": "model.recall"}], "a test has"),
        (EVERYTHING, [*TESTS, {**TESTS[0], "who": {"subject": "x", "shoe": 1}}], "who has"),
        (
            'permit (principal, action, resource) when { principal.subject == "y" };',
            TESTS,
            "test failed: all may",
        ),
    ],
)
def test_a_set_that_does_not_hold_is_not_put_in_force(cedar, tests, words):
    assert any(words in fault for fault in check_policies(make(1, cedar, tests)))


def test_a_set_that_holds_may_permit_more_than_ours():
    assert check_policies(make(1, EVERYTHING, TESTS)) == []


@pytest.mark.parametrize("text", ["a: b", "- 1", "[", "x"])
def test_tests_are_a_list_of_mappings(text):
    with pytest.raises(InvalidInputError):
        read_tests(text)
