"""Which version of the model decides about a row, and what an output says of its inputs."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance_twin.adapters.models import tuning_of
from maintenance_twin.decide.evaluate import ConditionChanged, Context, WorkItemOpened
from maintenance_twin.decide.twin import new_twin, take
from maintenance_twin.model.condition import State
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.release import Bound, Release, Releases
from maintenance_twin.model.tuning import DEFAULT, US
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import OPEN_US
from twinmesh_sdk.core.trust import Reason

TENANT = Tenant("acme")
START_US = 1_767_225_600_000_000
CFG, NEXT = "cfg_" + "0" * 26, "cfg_" + "1" * 26


def at(seconds):
    return START_US + seconds * US


def run(skid, releases, *, spans=((0, OPEN_US, CFG),), readings=None, splits=()):
    configurations = Configurations.of(Span(*span) for span in spans)
    twin = new_twin(TENANT, skid.profile(), configurations, DEFAULT)
    context = Context(TENANT, releases, DEFAULT)
    facts, given_ = [], skid.readings() if readings is None else readings
    bounds = [0, *sorted(splits), len(given_)]
    for first, last in pairwise(bounds):
        facts += take(twin, given_[first:last], context)
    return facts, twin


def conditions(facts):
    return [f.condition for f in facts if isinstance(f, ConditionChanged)]


def items(facts):
    return [f.item for f in facts if isinstance(f, WorkItemOpened)]


TWO = Releases((Release("1.0.0", 0, at(600)), Release("2.0.0", at(600))))


def test_each_row_is_judged_by_the_version_of_its_time(made_skid):
    facts, _ = run(made_skid(), TWO)

    told = [(c.state, c.model_version) for c in conditions(facts)]
    assert told == [
        (State.BASELINING, "1.0.0"),
        (State.HEALTHY, "1.0.0"),
        (State.HEALTHY, "2.0.0"),
        (State.DEGRADED, "2.0.0"),
    ]
    assert conditions(facts)[2].from_us == at(600)
    assert [f.model_changed for f in facts if isinstance(f, ConditionChanged)] == [
        False,
        False,
        True,
        False,
    ]
    assert items(facts)[0].model_version == "2.0.0"


def test_the_constants_of_the_version_decide(made_skid):
    deaf = replace(DEFAULT, least_spread=1e6)
    releases = Releases((Release("1.0.0", 0, at(600)), Release("2.0.0", at(600), tuning=deaf)))

    assert items(run(made_skid(), Releases.always("1.0.0"))[0])
    assert not items(run(made_skid(), releases)[0])


def test_without_a_version_the_twin_abstains_at_once(made_skid):
    facts, _ = run(made_skid(), Releases((Release("1.0.0", 0, at(700)),)))

    last = conditions(facts)[-1]
    assert (last.state, last.from_us, last.model_version) == (State.UNKNOWN, at(700), "")
    assert [r.code for r in last.reasons] == ["MODEL_NOT_ACTIVE"]
    assert not items(facts)


def test_a_change_of_configuration_ends_the_scope_until_a_version_names_it(made_skid):
    spans = ((0, at(500), CFG), (at(500), OPEN_US, NEXT))
    scoped = Releases((Release("1.0.0", 0, configurations=frozenset({CFG})),))

    facts, _ = run(made_skid(effects=()), scoped, spans=spans)
    last = conditions(facts)[-1]
    assert (last.state, last.from_us) == (State.UNKNOWN, at(500))
    assert last.reasons == (Reason("CONFIGURATION_NOT_TESTED", NEXT, "1.0.0"),)

    both = Releases((*scoped.releases, Release("1.1.0", 0, configurations=frozenset({NEXT}))))
    facts, _ = run(made_skid(effects=()), both, spans=spans)
    assert conditions(facts)[-1].state is State.HEALTHY
    assert conditions(facts)[-1].model_version == "1.1.0"


def test_outside_its_operating_range_it_abstains_and_names_the_signal(made_skid):
    bounded = Releases((Release("1.0.0", 0, envelope=(Bound("flow", 0.0195, 0.03),)),))

    facts, _ = run(made_skid(effects=(("flow", -0.3),)), bounded)

    last = conditions(facts)[-1]
    assert last.state is State.UNKNOWN
    assert [(r.code, r.subject) for r in last.reasons] == [("OUTSIDE_ENVELOPE", "flow")]


def test_the_digest_of_the_inputs_does_not_hang_on_how_they_came(made_skid):
    skid = made_skid()
    whole, twin = run(skid, TWO)

    @settings(max_examples=8, deadline=None)
    @given(st.sets(st.integers(1, 7_499), max_size=6))
    def split(splits):
        parts, again = run(skid, TWO, splits=splits)
        assert items(parts) == items(whole)
        assert conditions(parts) == conditions(whole)
        assert again.evaluation.inputs == twin.evaluation.inputs

    split()


def test_the_digest_tells_any_other_reading_apart(made_skid):
    skid = made_skid()
    readings = skid.readings()
    other = list(readings)
    other[100] = replace(other[100], value=other[100].value * (1 + 1e-15) + 1e-18)

    (item,), (changed,) = (items(run(skid, TWO, readings=r)[0]) for r in (readings, other))
    assert item.inputs_digest.startswith("sha256:")
    assert changed.inputs_digest != item.inputs_digest
    late = [replace(r, arrived_us=r.arrived_us + US, trace="x") for r in readings]
    assert items(run(skid, TWO, readings=late)[0])[0].inputs_digest == item.inputs_digest


def test_an_artefact_is_a_set_of_known_constants():
    assert tuning_of(b'{"baseline_rows": 500, "persistence_s": 90.5}') == replace(
        DEFAULT, baseline_rows=500, persistence_s=90.5
    )


@pytest.mark.parametrize(
    "artefact",
    [
        b"",
        b"[]",
        b'{"exec": 1}',
        b'{"baseline_rows": "400"}',
        b'{"baseline_rows": 400.5}',
        b'{"baseline_rows": true}',
        b'{"level_s": -1}',
        b"{" * 100_000,
    ],
)
def test_an_artefact_that_cannot_work_is_refused(artefact):
    with pytest.raises(InvalidInputError):
        tuning_of(artefact)
