"""Breaking changes weighed against majors, live consumers, deprecations and overrides."""

from dataclasses import replace
from datetime import timedelta

import pytest

from governance.decide.breaking_changes import check_breaking_changes, next_major, raises_major
from governance.decide.deprecations import deprecations_after, used_parts_deprecated
from governance.decide.evidence import Evidence
from governance.decide.overriding import approve, overridable
from governance.model.changes import Deprecation, Override, OverrideId
from governance.model.consumption import ClientOwner, Use, UseKind
from governance.model.contracts import Contract, ContractState, Version
from governance.model.findings import Severity
from governance.model.signatures import ModelSignature
from twinmesh_sdk.core.errors import ForbiddenError, InvalidInputError, PreconditionFailedError

OPENED = "pump.work_item.opened.v1"
SDL = (
    "type Query { pump: Pump } type Pump { id: ID! state: State since: String } "
    "enum State { ON OFF }"
)
LESS = SDL.replace(" since: String", "")
DAY = timedelta(days=1)


@pytest.fixture
def use(now):
    def make(coordinate, client="erp-app", kind=UseKind.FIELD, ago=DAY, service="pump-twin"):
        return Use(client, kind, coordinate, service, now - 9 * DAY, now - ago, 3)

    return make


@pytest.fixture
def evidence(now):
    """Return a factory of evidence: watched for long, unless told otherwise."""

    def make(*uses, **parts):
        return Evidence(**({"now": now, "uses": uses, "observed_since": now - 99 * DAY} | parts))

    return make


@pytest.fixture
def check(bundle, now):
    """Judge a successor of a contract in force; returns code, severity and message by subject."""

    def run(old, new, evidence, others=(), state=ContractState.ACTIVE):
        versions = [Contract(old, state, now, "ci")]
        return {f.subject: f for f in check_breaking_changes(new, versions, others, evidence)}

    return run


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        ("1.2.3", "2.0.0", True),
        ("1.2.3", "1.3.0", False),
        ("1.2.3", "1.2.4", False),
        ("0.1.0", "0.2.0", True),
        ("0.1.0", "0.1.1", False),
        ("2.0.0", "1.0.0", False),
    ],
)
def test_only_a_new_major_may_break(old, new, may):
    assert raises_major(Version.parse(old), Version.parse(new)) is may


def test_the_next_major_below_one_is_a_minor():
    assert str(next_major(Version.parse("0.4.2"))) == "0.5.0"
    assert str(next_major(Version.parse("1.4.2"))) == "2.0.0"


def test_within_a_major_a_removed_field_is_refused_whoever_uses_it(bundle, check, evidence):
    found = check(bundle(sdl=SDL), bundle(version="1.1.0", sdl=LESS), evidence())

    assert found["Pump.since"].severity is Severity.ERROR
    assert "2.0.0" in found["Pump.since"].hint
    assert "nobody used it since" in found["Pump.since"].words


def test_with_a_new_major_what_nobody_uses_may_go(bundle, check, evidence, use):
    found = check(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS), evidence(use("Pump.state")))

    assert found["Pump.since"].severity is Severity.WARNING


def test_a_refusal_names_team_service_fields_last_use_and_window(bundle, check, evidence, use, now):
    seen = evidence(
        use("Pump.since"),
        use("Pump.since", client="svc-energy-twin", ago=2 * DAY),
        owners={"erp-app": ClientOwner("erp-app", "Finance", "fin@example.com")},
    )
    others = [bundle("energy-twin")]

    found = check(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS), seen, others)["Pump.since"]

    first, second = found.consumers
    assert found.severity is Severity.ERROR
    assert found.kept().consumers == ()
    assert "Finance" not in found.kept().words
    assert (first.name, first.team, first.contact) == ("erp-app", "Finance", "fin@example.com")
    assert (first.parts, first.last_at) == (("Pump.since",), now - DAY)
    assert (second.name, second.team) == ("energy-twin", "team energy-twin")
    assert found.looked_since == now - timedelta(days=30)
    for words in ("Finance (erp-app)", "Pump.since", "2026-11-23", "looked at since 2026-10-25"):
        assert words in found.words


def test_what_a_service_uses_of_itself_is_its_own_affair(bundle, check, evidence, use):
    own = evidence(use("Pump.since", client="svc-pump-twin"))

    found = check(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS), own)

    assert found["Pump.since"].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("before", "after", "subject", "used"),
    [
        ("type Query { a(x: Int): Int }", "type Query { a: Int }", "Query.a(x:)", "Query.a(x:)"),
        ("type Query { a: Int }", "type Query { a(x: Int!): Int }", "Query.a(x:)", "Query.a"),
        (SDL, SDL.replace(" OFF", ""), "State.OFF", "Pump.state"),
        (SDL, SDL.replace(" OFF", ""), "State.OFF", "State.OFF"),
        (SDL, "type Query { other: Int }", "Pump", "Pump.id"),
        (
            "type Query { a(x: In): Int } input In { b: Int }",
            "type Query { a(x: In): Int } input In { b: Int c: Int! }",
            "In.c",
            "In.b",
        ),
    ],
)
def test_a_change_reaches_those_who_would_notice(
    bundle, check, evidence, use, before, after, subject, used
):
    old, new = bundle(sdl=before), bundle(version="2.0.0", sdl=after)

    assert check(old, new, evidence(use(used)))[subject].severity is Severity.ERROR
    assert check(old, new, evidence(use("Query.other")))[subject].severity is Severity.WARNING


def test_a_message_reaches_callers_of_methods_and_consumers_of_events(
    bundle, check, evidence, use, protos
):
    old = bundle(
        descriptors=protos(Opened=["id", "asset"]), events=[(OPENED, "twinmesh.pump.v1.Opened")]
    )
    new = bundle(
        version="2.0.0",
        descriptors=protos(Opened=["id"]),
        events=[(OPENED, "twinmesh.pump.v1.Opened")],
    )
    place = "twinmesh.pump.v1.Opened.asset"

    declared = check(old, new, evidence(), [bundle("planner", consumes=[OPENED])])[place]
    seen = check(old, new, evidence(use(OPENED, "svc-planner", UseKind.EVENT)))[place]
    nobody = check(old, new, evidence(), [bundle("planner")])[place]

    assert [(c.name, c.last_at) for c in declared.consumers] == [("planner", None)]
    assert "team planner (planner) declares to consume" in declared.words
    assert (declared.severity, seen.severity, nobody.severity) == (
        Severity.ERROR,
        Severity.ERROR,
        Severity.WARNING,
    )


def test_an_event_type_may_go_when_nobody_consumes_it(bundle, check, evidence):
    old = bundle(events=[(OPENED, "a.v1.M")])

    kept = check(old, bundle(version="2.0.0"), evidence(), [bundle("planner", consumes=[OPENED])])
    gone = check(old, bundle(version="2.0.0"), evidence())

    assert (kept[OPENED].severity, gone[OPENED].severity) == (Severity.ERROR, Severity.WARNING)


SIGNATURE = {
    "name": "pump-condition",
    "inputs": [{"name": "flow", "unit": "m3/s"}],
    "outputs": [{"name": "probability"}],
}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"inputs": [{"name": "flow", "unit": "m3/s"}, {"name": "power"}]}, "MODEL_INPUT_NEEDED"),
        ({"inputs": [{"name": "flow", "unit": "l/s"}]}, "MODEL_UNIT_CHANGED"),
        ({"outputs": [{"name": "probability", "optional": True}]}, "MODEL_OUTPUT_REMOVED"),
        ({"name": "other"}, "MODEL_REMOVED"),
    ],
)
def test_a_model_keeps_its_signature(bundle, charter, check, evidence, change, code):
    def with_models(version, *models):
        made = bundle(version=version)
        manifest = made.charter["contract"] | {"models": list(models)}
        return replace(made, charter=made.charter | {"contract": manifest})

    old = with_models("1.0.0", SIGNATURE)
    broken = check(old, with_models("1.1.0", SIGNATURE | change), evidence())
    more = {"inputs": [*SIGNATURE["inputs"], {"name": "power", "optional": True}]}

    assert [f.code for f in broken.values()] == [code]
    assert check(old, with_models("1.1.0", SIGNATURE | more), evidence()) == {}


@pytest.mark.parametrize("odd", [5, "x", None, {}, [5], [{"unit": "m"}], [{"name": 3}]])
def test_an_odd_signature_is_for_the_charters_schema_to_refuse(odd):
    read = ModelSignature.read({"name": "m", "inputs": odd, "outputs": odd})

    assert all(isinstance(port.name, str) for port in (*read.inputs, *read.outputs))


def test_versions_that_are_still_accepted_count_too(bundle, now, evidence):
    versions = [
        Contract(bundle(version="1.1.0", sdl=LESS), ContractState.ACTIVE, now, "ci"),
        Contract(bundle(version="1.0.0", sdl=SDL), ContractState.ACCEPTED, now, "ci"),
    ]

    found = check_breaking_changes(bundle(version="1.2.0", sdl=LESS), versions, [], evidence())
    raised = check_breaking_changes(bundle(version="2.0.0", sdl=LESS), versions, [], evidence())

    assert [(f.subject, f.severity) for f in found] == [("Pump.since", Severity.ERROR)]
    assert raised == []


# -- deprecations ------------------------------------------------------------------------------


def test_what_is_deprecated_and_unused_may_go_after_its_window(bundle, check, evidence, use, now):
    def since(ago):
        each = Deprecation("pump-twin", "Pump.since", now - ago, "1.1.0", "use state")
        return {("pump-twin", "Pump.since"): each}

    old, new = bundle(sdl=SDL), bundle(version="1.2.0", sdl=LESS)

    over = check(old, new, evidence(deprecations=since(31 * DAY)))["Pump.since"]
    early = check(old, new, evidence(deprecations=since(29 * DAY)))["Pump.since"]
    used = check(old, new, evidence(use("Pump.since"), deprecations=since(99 * DAY)))["Pump.since"]
    unwatched = check(
        old, new, evidence(deprecations=since(99 * DAY), observed_since=now - 2 * DAY)
    )["Pump.since"]

    assert over.severity is Severity.WARNING
    assert [f.severity for f in (early, used, unwatched)] == [Severity.ERROR] * 3
    assert "2026-11-25" in early.hint
    assert "known only since" in unwatched.words


def test_a_deprecated_message_field_waits_for_its_window_too(bundle, check, evidence, now):
    from governance.adapters.protoc import compile_protos  # noqa: PLC0415

    head = 'syntax = "proto3"; package p; message M { string a = 1; '
    old = bundle(
        descriptors=compile_protos({"p.proto": f"{head} string b = 2 [deprecated=true]; }}"})
    )
    new = bundle(
        version="1.1.0",
        descriptors=compile_protos({"p.proto": f'{head} reserved 2; reserved "b"; }}'}),
    )
    _, fresh = deprecations_after(old, [], now)
    known = {("pump-twin", d.coordinate): replace(d, since=now - 40 * DAY) for d in fresh}

    early = check(old, new, evidence())["p.M.b"]
    over = check(old, new, evidence(deprecations=known))["p.M.b"]

    assert [d.coordinate for d in fresh] == ["p.M.b"]
    assert (early.code, early.severity) == ("PROTO_DEPRECATED_REMOVED", Severity.ERROR)
    assert over.severity is Severity.WARNING


def test_a_deprecation_keeps_its_first_time_until_it_is_taken_back(bundle, now):
    marked = SDL.replace("since: String", 'since: String @deprecated(reason: "use state")')
    first, new = deprecations_after(bundle(sdl=marked), [], now)
    later, again = deprecations_after(bundle(version="1.1.0", sdl=marked), first, now + DAY)
    removed, _ = deprecations_after(bundle(version="1.2.0", sdl=LESS), later, now + DAY)
    back, _ = deprecations_after(bundle(version="1.2.0", sdl=SDL), later, now + DAY)

    assert [(d.coordinate, d.since, d.reason) for d in new] == [("Pump.since", now, "use state")]
    assert (later, again) == (first, [])
    assert (removed, back) == (first, [])


def test_owners_of_clients_that_use_it_are_told(bundle, use, now):
    marked = SDL.replace("since: String", "since: String @deprecated")
    made = bundle(sdl=marked)
    _, new = deprecations_after(made, [], now)
    uses = {
        "acme": [use("Pump.since"), use("Pump.state"), use("Pump.since", "svc-pump-twin")],
        "globex": [use("Pump.since", "their-app")],
    }

    told = used_parts_deprecated(
        new,
        uses,
        {"erp-app": ("Finance", "fin@example.com")},
        window=30 * DAY,
        at={"acme": now, "globex": now},
    )

    assert [(t.tenant, t.use.client, t.team) for t in told] == [
        ("acme", "erp-app", "Finance"),
        ("globex", "their-app", ""),
    ]
    assert {t.removal_from for t in told} == {now + 30 * DAY}


# -- overrides ---------------------------------------------------------------------------------


@pytest.fixture
def override(now):
    def make(digest, *findings, **parts):
        made = {
            "id": OverrideId("ovr_" + "0" * 32),
            "service": "pump-twin",
            "version": Version.parse("1.1.0"),
            "digest": digest,
            "findings": findings,
            "reason": "the only client is switched off on Friday",
            "requested_by": "ann",
            "requested_at": now - timedelta(hours=1),
            "expires_at": now + timedelta(hours=1),
        }
        return Override(**(made | parts))

    return make


def test_an_approved_override_takes_named_findings_of_one_bundle_back(
    bundle, check, evidence, override, now
):
    old, new = bundle(sdl=SDL), bundle(version="1.1.0", sdl=LESS)
    asked = override(new.digest, ("FIELD_REMOVED", "Pump.since"))
    granted = approve(asked, by="bob", at=now)

    def severity(each):
        return check(old, new, evidence(overrides=(each,)))["Pump.since"].severity

    assert severity(granted) is Severity.WARNING
    assert "ann and bob" in check(old, new, evidence(overrides=(granted,)))["Pump.since"].message
    assert severity(asked) is Severity.ERROR
    assert severity(replace(granted, expires_at=now)) is Severity.ERROR
    assert severity(replace(granted, digest="other")) is Severity.ERROR
    assert severity(replace(granted, findings=(("FIELD_REMOVED", "x"),))) is Severity.ERROR


def test_an_override_needs_a_second_person_a_reason_and_an_end(override, now):
    asked = override("d", ("FIELD_REMOVED", "x"))

    with pytest.raises(ForbiddenError):
        approve(asked, by="ann", at=now)
    with pytest.raises(PreconditionFailedError):
        approve(asked, by="bob", at=now + timedelta(hours=2))
    with pytest.raises(PreconditionFailedError):
        approve(approve(asked, by="bob", at=now), by="eve", at=now)
    for wrong in (
        {"reason": " "},
        {"expires_at": now - timedelta(hours=2)},
        {"expires_at": now + timedelta(days=30)},
        {"findings": ()},
    ):
        with pytest.raises(InvalidInputError):
            override("d", ("FIELD_REMOVED", "x"), **wrong)


def test_only_breaking_changes_can_be_overridden(bundle, check, evidence):
    old, new = bundle(sdl=SDL), bundle(version="1.1.0", sdl=LESS)
    broken = list(check(old, new, evidence()).values())
    taken = replace(broken[0], code="VERSION_TAKEN", looked_since=None)

    assert overridable(new, broken) == (("FIELD_REMOVED", "Pump.since"),)
    for hopeless in ([*broken, taken], [broken[0].warned()], []):
        with pytest.raises(PreconditionFailedError):
            overridable(new, hopeless)
