import json

import pytest

from governance.decide.composition import CompositionError, settle
from governance.decide.evidence import Evidence
from governance.decide.publication import contract_entries, objects
from governance.decide.registration import judge
from governance.model.contracts import ACCEPTED_VERSIONS, ContractState, Mesh, Supergraph, Version
from twinmesh_sdk.core.errors import InvalidInputError

ACTIVE, PENDING, REFUSED = ContractState.ACTIVE, ContractState.PENDING, ContractState.REFUSED


@pytest.fixture
def push(composer, now):
    """Push bundles onto a mesh; returns the judgement."""

    def run(mesh, *bundles):
        evidence = Evidence(now=now)
        return judge(mesh, bundles, composer.compose, evidence=evidence, pushed_by="ci", now=now)

    return run


def states(judgement):
    return [(str(o.bundle.service), o.state, o.changed) for o in judgement.outcomes]


def test_the_first_contract_becomes_active(push, bundle):
    judged = push(Mesh(), bundle(sdl="type Query { a: Int }"))

    assert states(judged) == [("pump-twin", ACTIVE, True)]
    assert judged.mesh.supergraph.urls == {"pump-twin": "http://pump-twin:8080/graphql"}


def test_a_repeat_changes_nothing(push, bundle, composer):
    first = push(Mesh(), bundle(sdl="type Query { a: Int }"))
    composed = composer.calls
    again = push(first.mesh, bundle(sdl="type Query { a: Int }"))

    assert states(again) == [("pump-twin", ACTIVE, False)]
    assert again.changed == ()
    assert again.mesh.supergraph == first.mesh.supergraph
    assert composer.calls == composed


def test_a_repeat_at_another_address_moves_the_subgraph(push, bundle):
    first = push(Mesh(), bundle(sdl="type Query { a: Int }"))
    moved = push(first.mesh, bundle(sdl="type Query { a: Int }", url="http://new:1/graphql"))

    assert states(moved) == [("pump-twin", ACTIVE, True)]
    assert moved.mesh.supergraph.urls == {"pump-twin": "http://new:1/graphql"}


def test_the_same_version_with_another_content_is_refused(push, bundle):
    first = push(Mesh(), bundle())
    judged = push(first.mesh, bundle(scale="Otherwise."))

    assert states(judged) == [("pump-twin", REFUSED, False)]
    assert judged.outcomes[0].findings[0].code == "VERSION_TAKEN"
    assert judged.changed == ()


def test_a_version_below_the_newest_is_refused(push, bundle):
    first = push(Mesh(), bundle(version="1.2.0"))

    judged = push(first.mesh, bundle(version="1.1.9"))

    assert judged.outcomes[0].findings[0].code == "VERSION_NOT_NEWER"


def test_earlier_versions_stay_accepted_while_replicas_roll(push, bundle):
    mesh = Mesh()
    for patch in range(ACCEPTED_VERSIONS + 3):
        mesh = push(mesh, bundle(version=f"1.0.{patch}")).mesh

    assert [(str(c.bundle.version), str(c.state)) for c in mesh.of("pump-twin")] == [
        ("1.0.6", "ACTIVE"),
        ("1.0.5", "ACCEPTED"),
        ("1.0.4", "ACCEPTED"),
        ("1.0.3", "ACCEPTED"),
        ("1.0.2", "ACCEPTED"),
        ("1.0.1", "SUPERSEDED"),
        ("1.0.0", "SUPERSEDED"),
    ]


def test_repeating_an_earlier_version_does_not_bring_it_back(push, bundle):
    mesh = push(push(Mesh(), bundle(version="1.0.0")).mesh, bundle(version="1.1.0")).mesh

    judged = push(mesh, bundle(version="1.0.0"))

    assert states(judged) == [("pump-twin", ContractState.ACCEPTED, False)]


def test_a_breaking_protobuf_change_is_refused_by_name(push, bundle, protos):
    first = push(Mesh(), bundle(descriptors=protos(Opened=["id", "asset"])))

    judged = push(first.mesh, bundle(version="1.1.0", descriptors=protos(Opened=["id"])))

    finding = judged.outcomes[0].findings[0]
    assert states(judged) == [("pump-twin", REFUSED, False)]
    assert (finding.code, finding.subject) == (
        "PROTO_FIELD_REMOVED",
        "twinmesh.pump.v1.Opened.asset",
    )
    assert judged.mesh.active()["pump-twin"].bundle.version == Version.parse("1.0.0")


def test_a_refused_bundle_does_not_hold_back_the_others(push, bundle):
    judged = push(Mesh(), bundle("good"), bundle("bad", decision="tbd"), bundle("fine"))

    assert [s for _, s, _ in states(judged)] == [ACTIVE, REFUSED, ACTIVE]


def test_of_two_that_conflict_the_first_wins(push, bundle):
    judged = push(
        Mesh(),
        bundle("one", freshness=[{"decision": "trip", "budget_s": 60}]),
        bundle("two", freshness=[{"decision": "trip", "budget_s": 30}]),
    )

    assert [s for _, s, _ in states(judged)] == [ACTIVE, REFUSED]
    assert judged.outcomes[1].findings[0].service == "one"


def test_mutual_references_compose_at_once(push, bundle):
    judged = push(
        Mesh(), bundle("one", sdl="# needs two\ntype Query { a: Int }"),
        bundle("two", sdl="# needs one\ntype Query { b: Int }"),
    )  # fmt: skip

    assert [s for _, s, _ in states(judged)] == [ACTIVE, ACTIVE]


def test_a_missing_partner_makes_it_wait_and_blocks_nobody(push, bundle):
    lonely = bundle("lonely", sdl="# needs partner\ntype Query { a: Int }")
    first = push(Mesh(), lonely, bundle("other", sdl="type Query { b: Int }"))

    assert states(first) == [("lonely", PENDING, True), ("other", ACTIVE, True)]
    assert set(first.mesh.supergraph.urls) == {"other"}

    second = push(first.mesh, bundle("partner", sdl="type Query { c: Int }"))

    assert states(second) == [("partner", ACTIVE, True), ("lonely", ACTIVE, True)]
    assert set(second.mesh.supergraph.urls) == {"lonely", "other", "partner"}


def test_a_conflicting_subgraph_is_refused_and_the_old_one_stays(push, bundle):
    first = push(Mesh(), bundle("one", sdl="type Query { a: Int }"))
    judged = push(first.mesh, bundle("two", sdl="# fights one\ntype Query { b: Int }"))

    finding = judged.outcomes[0].findings[0]
    assert states(judged) == [("two", REFUSED, False)]
    assert finding.code == "FIELD_TYPE_MISMATCH"
    assert "one" in finding.subject
    assert judged.mesh.supergraph == first.mesh.supergraph


def test_a_successor_that_no_longer_composes_is_refused_not_postponed(push, bundle):
    first = push(Mesh(), bundle("one", sdl="type Query { a: Int }"))
    judged = push(first.mesh, bundle("one", "1.1.0", sdl="# needs ghost\ntype Query { a: Int }"))

    assert states(judged) == [("one", REFUSED, False)]
    assert judged.mesh.active()["one"].bundle.version == Version.parse("1.0.0")


def test_two_bundles_of_one_service_are_no_push(push, bundle):
    with pytest.raises(InvalidInputError):
        push(Mesh(), bundle(), bundle(version="1.1.0"))


def test_an_unreadable_sdl_is_a_finding_not_a_crash(push, bundle):
    judged = push(Mesh(), bundle("good"), bundle("bad", sdl="type Query {"))

    assert [s for _, s, _ in states(judged)] == [ACTIVE, REFUSED]
    assert "line 1" in judged.outcomes[1].findings[0].message


def test_a_service_without_a_subgraph_needs_no_composition(push, bundle, composer):
    judged = push(Mesh(), bundle("gateway", kind="foundation"))

    assert states(judged) == [("gateway", ACTIVE, True)]
    assert composer.calls == 0


def test_settling_tries_a_bounded_number_of_sets(bundle, composer):
    many = {f"s{n}": bundle(f"s{n}", sdl="# needs ghost\ntype Query { a: Int }") for n in range(12)}

    settled = settle({}, many, composer.compose)

    assert settled.supergraph is None
    assert set(settled.left_out) == set(many)
    assert composer.calls <= 12 * 14


def test_an_error_that_names_no_subgraph_still_finds_the_culprit(bundle):
    def compose(members):
        if "bad" in members:
            return (CompositionError("INVALID_GRAPHQL", "no"),)
        return bundle_supergraph(members)

    def bundle_supergraph(members):
        return Supergraph("d", "", dict.fromkeys(members, ""), {})

    candidates = {n: bundle(n, sdl="type Query { a: Int }") for n in ("good", "bad", "fine")}
    settled = settle({}, candidates, compose)

    assert settled.joined == {"good", "fine"}
    assert settled.supergraph.urls.keys() == {"good", "fine"}


def test_what_is_published_says_what_is_in_force(push, bundle, protos):
    descriptors = protos(Opened=["id"])
    event = ("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")
    parts = {"sdl": "type Query { a: Int }", "descriptors": descriptors, "events": [event]}
    mesh = push(Mesh(), bundle(**parts)).mesh
    mesh = push(mesh, bundle(version="1.1.0", **(parts | {"scale": "Otherwise."}))).mesh
    entries = contract_entries(mesh)

    assert set(entries) == {
        "active.pump-twin", "event.pump.work_item.opened.v1", "supergraph", "budgets",
    }  # fmt: skip
    assert entries == contract_entries(mesh)
    assert b'"version":"1.1.0"' in entries["active.pump-twin"]
    digests = {c.bundle.digest for c in mesh.contracts}
    assert len(digests) == 2
    assert all(d.encode() in entries["active.pump-twin"] for d in digests)
    assert f"supergraph-{mesh.supergraph.digest}" in objects(mesh)


def test_a_dropped_event_type_is_published_as_retired(push, bundle, protos):
    event = ("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")
    mesh = push(Mesh(), bundle(descriptors=protos(Opened=["id"]), events=[event])).mesh
    mesh = push(mesh, bundle(version="2.0.0", descriptors=protos(Opened=["id"]))).mesh

    assert b'"status":"RETIRED"' in contract_entries(mesh)["event.pump.work_item.opened.v1"]


def test_events_of_any_registered_version_stay_readable(push, bundle, protos):
    event = ("pump.work_item.opened.v1", "twinmesh.pump.v1.Opened")
    mesh = Mesh()
    for patch in range(ACCEPTED_VERSIONS + 3):
        fields = [f"f{n}" for n in range(patch + 1)]
        made = bundle(version=f"1.0.{patch}", descriptors=protos(Opened=fields), events=[event])
        mesh = push(mesh, made).mesh
    entry = json.loads(contract_entries(mesh)["event.pump.work_item.opened.v1"])

    assert len(entry["digests"]) == ACCEPTED_VERSIONS + 3
