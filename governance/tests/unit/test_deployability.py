"""May this version be deployed there?"""

from dataclasses import replace
from datetime import timedelta

import pytest

from governance.decide.deployability import Question, Verdict, can_deploy
from governance.decide.evidence import Evidence
from governance.decide.routing import routed, supergraph_of
from governance.model.consumption import Use, UseKind
from governance.model.contracts import (
    Contract,
    ContractState,
    Mesh,
    ServiceName,
    Supergraph,
    Version,
)
from governance.model.deployments import Deployment, DeploymentState, Environment

SDL = "type Query { a: Int b: Int }"
LESS = "type Query { a: Int }"
READY, STARTING, RETIRED = DeploymentState.READY, DeploymentState.STARTING, DeploymentState.RETIRED
DAY = timedelta(days=1)
OPENED = "pump.work_item.opened.v1"


@pytest.fixture
def mesh(now):
    def make(*bundles):
        newest = {}
        for made in bundles:
            newest[made.service] = max(newest.get(made.service, made.version), made.version)
        return Mesh(
            tuple(
                Contract(
                    made,
                    ContractState.ACTIVE
                    if newest[made.service] == made.version
                    else ContractState.ACCEPTED,
                    now,
                    "ci",
                )
                for made in bundles
            )
        )

    return make


@pytest.fixture
def deployed(now):
    def make(service, version, state=READY, environment="prod"):
        return Deployment(
            Environment(environment),
            ServiceName(service),
            Version.parse(version),
            "digest",
            state,
            now,
            now,
            "ci",
        )

    return make


@pytest.fixture
def ask(now, composer):
    def run(mesh, deployments, version, service="pump-twin", uses=(), since=99 * DAY, **parts):
        question = Question(
            service=service,
            version=Version.parse(version),
            environment="prod",
            mesh=mesh,
            deployments=tuple(deployments),
            evidence=Evidence(now=now, uses=tuple(uses), observed_since=now - since),
            registered_counts=False,
        )
        answer = can_deploy(replace(question, **parts), composer.compose)
        return answer.verdict, [reason.code for reason in answer.reasons]

    return run


@pytest.fixture
def use(now):
    def make(coordinate, client="erp-app", kind=UseKind.FIELD, service="pump-twin"):
        return Use(client, kind, coordinate, service, now - 9 * DAY, now - DAY, 3)

    return make


def test_what_is_not_registered_is_not_deployed(ask, mesh, bundle):
    assert ask(mesh(bundle()), [], "9.0.0") == (Verdict.NO, ["NOT_REGISTERED"])


def test_an_environment_without_a_record_is_unknown(ask, mesh, bundle):
    assert ask(mesh(bundle()), [], "1.0.0") == (Verdict.UNKNOWN, ["ENVIRONMENT_UNKNOWN"])
    assert ask(mesh(bundle()), [], "1.0.0", registered_counts=True) == (Verdict.YES, [])


def test_a_compatible_successor_may_and_what_breaks_a_live_consumer_may_not(
    ask, mesh, bundle, deployed, use
):
    both = mesh(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS))
    there = [deployed("pump-twin", "1.0.0")]

    assert ask(both, there, "2.0.0", uses=[use("Query.a")]) == (Verdict.YES, ["FIELD_REMOVED"])
    assert ask(both, there, "2.0.0", uses=[use("Query.b")]) == (Verdict.NO, ["FIELD_REMOVED"])


def test_a_breaking_change_that_was_not_watched_long_enough_is_unknown(ask, mesh, bundle, deployed):
    both = mesh(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS))

    assert ask(both, [deployed("pump-twin", "1.0.0")], "2.0.0", since=DAY) == (
        Verdict.UNKNOWN,
        ["FIELD_REMOVED"],
    )


def test_a_rollback_is_judged_by_what_would_go(ask, mesh, bundle, deployed, use):
    both = mesh(bundle(sdl=LESS), bundle(version="1.1.0", sdl=SDL))
    there = [deployed("pump-twin", "1.1.0")]

    assert ask(both, there, "1.0.0", uses=[use("Query.a")])[0] is Verdict.YES
    assert ask(both, there, "1.0.0", uses=[use("Query.b")]) == (Verdict.NO, ["FIELD_REMOVED"])


def test_a_consumer_that_does_not_run_there_does_not_count(ask, mesh, bundle, deployed, use):
    both = mesh(bundle(sdl=SDL), bundle(version="2.0.0", sdl=LESS), bundle("energy-twin"))
    uses = [use("Query.b", "svc-energy-twin")]
    there = [deployed("pump-twin", "1.0.0")]

    assert ask(both, there, "2.0.0", uses=uses)[0] is Verdict.YES
    assert (
        ask(both, [*there, deployed("energy-twin", "1.0.0")], "2.0.0", uses=uses)[0] is Verdict.NO
    )
    gone = deployed("energy-twin", "1.0.0", RETIRED)
    assert ask(both, [*there, gone], "2.0.0", uses=uses)[0] is Verdict.YES


def test_a_declared_consumer_of_an_event_counts(ask, mesh, bundle, deployed):
    both = mesh(
        bundle(events=[(OPENED, "a.v1.M")]),
        bundle(version="2.0.0"),
        bundle("planner", consumes=[OPENED]),
    )
    there = [deployed("pump-twin", "1.0.0"), deployed("planner", "1.0.0")]

    assert ask(both, there, "2.0.0") == (Verdict.NO, ["EVENT_REMOVED"])
    assert ask(both, there, "1.0.0", service="planner") == (Verdict.YES, [])
    alone = [deployed("planner", "1.0.0")]
    assert ask(both, alone, "1.0.0", service="planner") == (Verdict.YES, ["EVENT_NOT_PUBLISHED"])


def test_methods_that_it_calls_have_to_be_served_there(ask, mesh, bundle, deployed, use):
    from governance.adapters.protoc import compile_protos  # noqa: PLC0415

    text = 'syntax = "proto3"; package p.v1; message M {} service S { rpc Get(M) returns (M); }'
    provider = bundle("provider", descriptors=compile_protos({"p.proto": text}))
    older = bundle("provider", version="0.9.0")
    calls = [use("p.v1.S/Get", "svc-pump-twin", UseKind.RPC_METHOD, "provider")]
    known = mesh(bundle(), provider, older)

    new, old = deployed("provider", "1.0.0"), deployed("provider", "0.9.0")
    assert ask(known, [new], "1.0.0", uses=calls) == (Verdict.YES, [])
    assert ask(known, [old], "1.0.0", uses=calls) == (Verdict.NO, ["METHOD_NOT_SERVED"])
    other = [deployed("pump-twin", "1.0.0")]
    assert ask(known, other, "1.0.0", uses=calls) == (Verdict.NO, ["METHOD_NOT_SERVED"])


def test_it_has_to_compose_with_what_runs_there(ask, mesh, bundle, deployed):
    known = mesh(
        bundle(sdl="type Query { a: Int }\n# needs partner"), bundle("partner", sdl="# partner"),
        bundle("rival", sdl="# fights pump-twin"),
    )  # fmt: skip

    assert ask(known, [deployed("partner", "1.0.0")], "1.0.0") == (Verdict.YES, [])
    there = [deployed("rival", "1.0.0"), deployed("partner", "1.0.0")]
    assert ask(known, there, "1.0.0")[0] is Verdict.NO
    assert ask(known, [deployed("rival", "1.0.0", RETIRED)], "1.0.0") == (
        Verdict.NO,
        ["SATISFIABILITY_ERROR"],
    )


# -- routing -----------------------------------------------------------------------------------


def test_without_records_the_registered_versions_are_routed(mesh, bundle):
    known = mesh(bundle(sdl=LESS), bundle(version="1.1.0", sdl=SDL))

    assert routed(known, [])["pump-twin"].sdl == SDL


def test_only_deployed_ready_versions_are_routed(mesh, bundle, deployed):
    known = mesh(bundle(sdl=LESS), bundle(version="1.1.0", sdl=SDL))
    old, new = deployed("pump-twin", "1.0.0"), deployed("pump-twin", "1.1.0", STARTING)

    assert routed(known, [old, new])["pump-twin"].version == Version.parse("1.0.0")
    assert routed(known, [new]) == {}


def test_while_two_versions_run_only_what_both_serve_is_routed(mesh, bundle, deployed, composer):
    known = mesh(bundle(sdl=LESS), bundle(version="1.1.0", sdl=SDL))
    both = [deployed("pump-twin", "1.0.0"), deployed("pump-twin", "1.1.0")]

    member = routed(known, both)["pump-twin"]
    supergraph, errors = supergraph_of(known, both, composer.compose, before=None)

    assert member.version == Version.parse("1.1.0")
    assert "b: Int" not in member.sdl
    assert "b: Int" not in supergraph.sdl
    assert errors == ()


def test_what_is_deployed_and_does_not_compose_leaves_what_is_in_force(
    mesh, bundle, deployed, composer
):
    known = mesh(bundle(sdl="type Query { a: Int }\n# needs partner"))
    registered, force = (Supergraph(name, "", {}, {}) for name in ("registered", "in force"))
    known = replace(known, supergraph=registered)
    there = [deployed("pump-twin", "1.0.0")]

    kept, errors = supergraph_of(known, there, composer.compose, before=force)
    unrecorded = supergraph_of(known, [], composer.compose, before=force)
    nothing_ready = [deployed("pump-twin", "1.0.0", STARTING)]

    assert (kept, [error.code for error in errors]) == (force, ["SATISFIABILITY_ERROR"])
    assert unrecorded == (registered, ())
    assert supergraph_of(known, nothing_ready, composer.compose, before=force) == (force, ())
