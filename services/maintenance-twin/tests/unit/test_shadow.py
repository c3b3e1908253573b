"""Versions that run beside the active one: what is measured, and that nothing else happens."""

import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maintenance_twin.adapters.documents import twin_of_json, twin_to_json
from maintenance_twin.decide.evaluate import Context
from maintenance_twin.decide.shadow import MAX_SHADOWS, WINDOW_US
from maintenance_twin.decide.twin import new_twin, take
from maintenance_twin.model.configuration import Configurations, Span
from maintenance_twin.model.release import Release, Releases
from maintenance_twin.model.tuning import DEFAULT, US
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import OPEN_US

TENANT = Tenant("acme")
START_US = 1_767_225_600_000_000
CFG = "cfg_" + "0" * 26
NEXT = "cfg_" + "1" * 26
ONE = Configurations((Span(0, OPEN_US, CFG),))
QUICK = replace(DEFAULT, reference_s=310.0)


def beside(*releases):
    return Context(TENANT, Releases.always("1.0.0"), DEFAULT, shadows=Releases(releases))


def release(version, tuning=QUICK, **parts):
    return Release(version, 0, tuning=tuning, **parts)


ALONE = beside()
WITH = beside(release("1.1.0"))


def run(skid, context, configurations=ONE, readings=None):
    twin = new_twin(TENANT, skid.profile(), configurations, context.tuning)
    return take(twin, skid.readings() if readings is None else readings, context), twin


def test_what_runs_beside_changes_nothing_that_is_said(made_skid):
    alone, _ = run(made_skid(), ALONE)
    shadowed, twin = run(made_skid(), WITH)
    assert alone
    assert shadowed == alone
    assert twin.window.shadows["1.1.0"].evaluation.item is not None


def test_a_window_of_plant_time_is_measured_once(made_skid):
    _, twin = run(made_skid(effects=(), seconds=3000), WITH)
    windows = [(m.from_us - START_US) // US for m in twin.measured]
    assert windows == sorted(set(windows))
    assert len(windows) >= 3
    for measured in twin.measured:
        assert measured.to_us - measured.from_us == WINDOW_US
        assert measured.version == "1.0.0"
        assert measured.configuration_id == CFG
        assert 0.2 < measured.mean_square < 5.0
        assert abs(measured.mean_residual) < 1.0


def test_the_same_constants_err_the_same(made_skid):
    _, twin = run(made_skid(effects=(), seconds=3000), beside(release("1.1.0", DEFAULT)))
    challengers = [c for m in twin.measured for c in m.challengers]
    assert challengers
    for each in challengers:
        assert each.pairs > 100
        assert each.disagreements == 0
        assert each.champion_error == each.challenger_error


def test_who_follows_a_wandering_level_more_closely_errs_less(made_skid):
    skid = made_skid(effects=(), seconds=4000)
    drifting = [
        replace(r, value=r.value * (1 - 0.02 * min(1.0, max(0.0, (t - 700) / 3000))))
        for r in skid.readings()
        for t in [(r.observed_us - START_US) / US]
    ]
    _, twin = run(skid, WITH, readings=drifting)
    last = twin.measured[-1].challengers[0]
    assert last.challenger_error < last.champion_error


def test_verdicts_that_differ_are_counted_and_pair_nothing(made_skid):
    deaf = replace(DEFAULT, least_spread=1000.0)
    _, twin = run(made_skid(seconds=3000), beside(release("1.1.0", deaf)))
    pairs = twin.window.shadows["1.1.0"].pairs
    assert twin.evaluation.item is not None
    assert twin.window.shadows["1.1.0"].evaluation.item is None
    assert pairs.disagreements == pairs.judged > 100
    assert pairs.pairs == 0


def test_no_more_shadows_run_than_the_limit(made_skid):
    many = beside(*(release(f"1.{n}.0") for n in range(1, 9)))
    _, twin = run(made_skid(), many)
    assert list(twin.window.shadows) == [f"1.{n}.0" for n in range(1, MAX_SHADOWS + 1)]


def test_a_shadow_that_is_none_any_more_is_forgotten(made_skid):
    skid = made_skid(effects=(), seconds=1500)
    readings = skid.readings()
    half = len(readings) // 2
    _, twin = run(skid, WITH, readings=readings[:half])
    assert "1.1.0" in twin.window.shadows
    take(twin, readings[half:], ALONE)
    assert twin.window.shadows == {}


def test_a_shadow_knows_what_the_active_version_has_learned(made_skid):
    skid = made_skid(effects=(), seconds=1500)
    readings = skid.readings()
    half = len(readings) // 2
    _, twin = run(skid, ALONE, readings=readings[:half])
    known = {mode: baseline for mode, (baseline, _) in twin.evaluation.charts.items()}
    take(twin, readings[half : half + 50], WITH)
    shadow = twin.window.shadows["1.1.0"].evaluation
    assert {mode: baseline for mode, (baseline, _) in shadow.charts.items()} == known


def test_a_shadow_abstains_where_its_scope_ends(made_skid):
    elsewhere = release("1.1.0", configurations=frozenset({NEXT}))
    _, twin = run(made_skid(effects=(), seconds=3000), beside(elsewhere))
    assert all(m.challengers == () for m in twin.measured)


def test_a_window_with_two_configurations_measures_the_second_alone(made_skid):
    change_us = START_US + 1300 * US
    two = Configurations((Span(0, change_us, CFG), Span(change_us, OPEN_US, NEXT)))
    _, twin = run(made_skid(effects=(), seconds=4000), WITH, two)
    first = [m for m in twin.measured if m.from_us <= change_us < m.to_us]
    assert all(m.configuration_id == NEXT for m in first)
    assert {m.configuration_id for m in twin.measured} == {CFG, NEXT}


def test_a_switch_of_versions_is_never_within_one_measurement(made_skid):
    switch_us = START_US + 1500 * US
    releases = Releases((Release("1.0.0", 0, switch_us), Release("1.1.0", switch_us)))
    context = Context(TENANT, releases, DEFAULT)
    _, twin = run(made_skid(effects=(), seconds=3600), context)
    for measured in twin.measured:
        assert measured.version == ("1.0.0" if measured.to_us <= switch_us else "1.1.0")


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 5999), max_size=3), saved=st.booleans())
def test_any_split_into_batches_measures_the_same(made_skid, cuts, saved):
    skid = made_skid(effects=(), seconds=1500)
    readings = skid.readings()
    _, whole = run(skid, WITH, readings=readings)
    twin = new_twin(TENANT, skid.profile(), ONE, DEFAULT)
    measured = []
    edges = [0, *sorted({c for c in cuts if c < len(readings)}), len(readings)]
    for start, end in zip(edges, edges[1:]):  # noqa: B905, RUF007 - neighbours
        take(twin, readings[start:end], WITH)
        measured += twin.measured
        twin.measured = []
        if saved:
            twin = twin_of_json(
                twin_to_json(twin),
                tenant=TENANT,
                asset_id=twin.asset_id,
                version=0,
                changes=0,
                tuning=DEFAULT,
            )
    assert measured == whole.measured
    assert json.loads(twin_to_json(twin))["window"] == json.loads(twin_to_json(whole))["window"]


def test_a_document_of_a_release_without_shadows_can_be_read(made_skid):
    _, twin = run(made_skid(effects=(), seconds=900), ALONE)
    document = json.loads(twin_to_json(twin))
    del document["window"]
    read = twin_of_json(
        json.dumps(document).encode(),
        tenant=TENANT,
        asset_id=twin.asset_id,
        version=1,
        changes=0,
        tuning=DEFAULT,
    )
    assert read.window.version == ""


def test_a_correction_makes_the_shadows_begin_again(made_skid):
    skid = made_skid(effects=(), seconds=1500)
    readings = skid.readings()
    half = len(readings) // 2
    _, twin = run(skid, WITH, readings=readings[:half])
    before = twin.window.shadows["1.1.0"].evaluation
    twin.window.forget()
    take(twin, readings[half:], WITH)
    after = twin.window.shadows["1.1.0"].evaluation
    assert after is not before
    assert after.last_us == twin.evaluation.last_us
