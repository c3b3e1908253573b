"""Policies in Cedar: read once, checked against their schema and tests, asked many times.

Source of the language: Cedar 4 (https://docs.cedarpolicy.com): what no policy permits is denied,
and what one forbids stays denied.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self

import cedarpy
import yaml

from governance.model.policies import MAX_TESTS, PolicySet, PolicyTest, Ruling, Thing
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal

TEST_TENANT: Final = "acme"
MAX_FAULTS: Final = 20
_WHO: Final = {"subject", "tenant", "roles"}
_WHAT: Final = {"type", "id", "tenant", "author"}


class Policies:
    """A policy set, parsed, together with the guard that no set replaces."""

    def __init__(self, given: PolicySet, handle: cedarpy.PolicySet, words: "_Words") -> None:
        self.given = given
        self._handle = handle
        self._words = words

    @classmethod
    def read(cls, given: PolicySet) -> Self:
        """Parse a policy set.

        Raises:
            InvalidInputError: It is no Cedar, or does not fit the schema.
        """
        _check(given.cedar)
        text = _shipped("guard.cedar") + "\n" + given.cedar
        return cls(given, cedarpy.PolicySet.from_str(text), _Words(text))

    def ask(self, principal: Principal, action: str, thing: Thing) -> Ruling:
        """Say whether somebody may do something. What cannot be evaluated is denied."""
        kind = "Service" if SERVICE_ROLE in principal.roles else "Person"
        who = {"type": kind, "id": principal.subject}
        what = {"type": thing.kind, "id": thing.id}
        entities = [
            {
                "uid": who,
                "attrs": {
                    "subject": principal.subject,
                    "client": principal.client_id,
                    "tenant": str(principal.tenant),
                    "roles": sorted(principal.roles),
                },
                "parents": [],
            },
            {
                "uid": what,
                "attrs": {"tenant": thing.tenant, "author": thing.author},
                "parents": [],
            },
        ]
        request = {
            "principal": who,
            "action": {"type": "Action", "id": action},
            "resource": what,
            "context": {},
        }
        try:
            parsed = cedarpy.Entities.from_json_str(json.dumps(entities), _schema())
            result = cedarpy.is_authorized(request, self._handle, parsed, _schema())
        except (ValueError, TypeError) as error:
            return Ruling(permitted=False, why=f"it could not be evaluated: {str(error)[:200]}")
        if result.diagnostics.errors:  # a policy that fails may be the one that forbids
            return Ruling(permitted=False, why="a policy could not be evaluated")
        if result.allowed:
            return Ruling(permitted=True)
        return Ruling(permitted=False, why=self._words.why(result.diagnostics.reasons, action))


class _Words:
    """What policies say for themselves, by their annotations."""

    def __init__(self, text: str) -> None:
        parsed = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"]
        self._reasons: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        for name, policy in parsed.items():
            notes = policy.get("annotations") or {}
            if policy["effect"] == "forbid":
                self._reasons[name] = notes.get("reason") or notes.get("id") or "a policy"
                continue
            for action in _actions(policy["action"]):
                self._needs.setdefault(action, []).append(notes.get("needs") or "another role")

    def why(self, forbidding: Sequence[str], action: str) -> str:
        """Say what forbids an action, or what would permit it."""
        if found := [self._reasons[name] for name in forbidding if name in self._reasons]:
            return "; ".join(dict.fromkeys(found))
        if needs := self._needs.get(action):
            return f"it needs {', or '.join(dict.fromkeys(needs))}"
        return "no policy permits it"


def shipped() -> PolicySet:
    """Return the policy set that comes with the release."""
    return make(0, _shipped("default.cedar"), read_tests(_shipped("default.tests.yaml")))


def make(version: int, cedar: str, tests: Sequence[Mapping[str, Any]], **more: Any) -> PolicySet:  # noqa: ANN401 - the set's other members
    """Return a policy set with its digest."""
    text = json.dumps([cedar, list(tests)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return PolicySet(version, cedar, tuple(tests), digest, **more)


def read_tests(text: str) -> list[dict[str, Any]]:
    """Return the tests in a YAML or JSON file: a list of mappings.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInputError(f"the tests are no YAML: {error}") from error
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InvalidInputError("the tests are a list of mappings")
    if len(value) > MAX_TESTS:
        raise InvalidInputError(f"a policy set has at most {MAX_TESTS} tests")
    return value


def check_policies(given: PolicySet) -> list[str]:
    """Return why a policy set cannot be put in force; empty when it can.

    It has to be Cedar that fits the schema, bring tests of what it permits and of what it denies,
    pass them, and leave the guard's tests as they are.
    """
    try:
        policies = Policies.read(given)
        own = [_test(each) for each in given.tests]
    except InvalidInputError as error:
        return [str(error)]
    faults = []
    for permitted, word in ((True, "may"), (False, "may_not")):
        if not any(test.permitted is permitted for test in own):
            faults.append(f"no test says what somebody {word} do")
    guard = [_test(each) for each in read_tests(_shipped("guard.tests.yaml"))]
    for test in [*own, *guard]:
        ruling = policies.ask(_principal(test), test.action, test.thing)
        if ruling.permitted is not test.permitted:
            word = "is permitted" if ruling.permitted else f"is denied: {ruling.why}"
            faults.append(f"test failed: {test.name}: {test.action} {word}")
    return faults[:MAX_FAULTS]


def _check(cedar: str) -> None:
    try:
        cedarpy.PolicySet.from_str(cedar)
        result = cedarpy.validate_policies(cedar, _schema())
    except ValueError as error:
        raise InvalidInputError(f"the policies are no Cedar: {str(error)[:400]}") from error
    if not result.validation_passed:
        words = "; ".join(str(error) for error in result.errors[:5])
        raise InvalidInputError(f"the policies do not fit the schema: {words[:600]}")


def _test(value: Mapping[str, Any]) -> PolicyTest:
    """Return a test as written.

    Raises:
        InvalidInputError: It is not of the form that a test has.
    """
    name = str(value.get("name", ""))[:200]
    who, what = value.get("who"), value.get("what")
    said = [word for word in ("may", "may_not") if word in value]
    if set(value) - {"name", "who", "what", "may", "may_not"} or len(said) != 1 or not name:
        raise InvalidInputError(f"a test has name, who, may or may_not, and what: {name!r}")
    if not isinstance(who, dict) or set(who) - _WHO or not who.get("subject"):
        raise InvalidInputError(f"test {name!r}: who has subject, tenant, roles")
    if not isinstance(what, dict) or set(what) - _WHAT or not {"type", "id"} <= set(what):
        raise InvalidInputError(f"test {name!r}: what has type, id, tenant, author")
    roles = who.get("roles") or []
    if not isinstance(roles, list):
        raise InvalidInputError(f"test {name!r}: roles is a list")
    return PolicyTest(
        name=name,
        subject=str(who["subject"]),
        tenant=str(who.get("tenant") or TEST_TENANT),
        roles=frozenset(str(role) for role in roles),
        action=str(value[said[0]]),
        thing=Thing(
            str(what["type"]),
            str(what["id"]),
            str(what.get("tenant") or ""),
            str(what.get("author") or ""),
        ),
        permitted=said[0] == "may",
    )


def _principal(test: PolicyTest) -> Principal:
    return Principal(test.subject, test.subject, Tenant(test.tenant), test.roles)


def _actions(constraint: Mapping[str, Any]) -> list[str]:
    if constraint.get("op") == "==":
        return [str(constraint["entity"]["id"])]
    return [str(each["id"]) for each in constraint.get("entities") or ()]


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(_shipped("schema.cedarschema"))


@cache
def _shipped(name: str) -> str:
    return (files("governance") / "contract" / "policies" / name).read_text("utf-8")
