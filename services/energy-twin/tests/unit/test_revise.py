from dataclasses import replace

from energy_twin.decide.revise import revise
from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline, Learned
from twinmesh_sdk.core.ids import AssetId, Tenant

PUMP = AssetId("ast_01J0000000000000000000000A")
LEARNED = Learned(1e5, 10.0, 5.0, 20.0, 19.0, 400, 0, 400, "power")


def baseline(configuration="cfg_1", start=0, end=1000, learned=LEARNED):
    period = ConfigurationPeriod(configuration, start, end)
    return Baseline(Tenant("acme"), PUMP, period, learned)


def held(*baselines):
    return [HeldBaseline(one, 7) for one in baselines]


def test_what_is_held_already_changes_nothing():
    assert revise(held(baseline()), [baseline()]) is None
    assert revise([], []) is None


def test_a_first_baseline_is_announced():
    change = revise([], [baseline()])
    assert change.begun == (baseline(),)
    assert change.announced == ((baseline(), ""),)


def test_a_period_that_only_ends_sooner_is_held_anew_and_announces_nothing():
    shorter = baseline(end=500)
    change = revise(held(baseline()), [shorter])

    assert [one.baseline for one in change.ended] == [baseline()]
    assert change.begun == (shorter,)
    assert change.announced == ()


def test_a_baseline_learned_anew_names_the_one_that_it_replaces():
    other = baseline(learned=replace(LEARNED, specific_energy_j_per_m3=2e5))
    change = revise(held(baseline()), [other])

    assert change.announced == ((other, baseline().baseline_id),)


def test_a_baseline_that_lost_its_configuration_ends():
    change = revise(held(baseline(), baseline("cfg_2", 1000, 2000)), [baseline()])

    assert [one.baseline.period.configuration_id for one in change.ended] == ["cfg_2"]
    assert change.begun == ()
