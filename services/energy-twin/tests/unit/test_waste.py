import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from energy_twin.decide.learn import learn
from energy_twin.decide.steps import steps_of
from energy_twin.decide.waste import student_90, waste_in
from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline, Learned
from energy_twin.model.estimate import Window
from energy_twin.model.series import Role, Series, SignalUse
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant

PUMP = AssetId("ast_01J0000000000000000000000A")
ACME = Tenant("acme")
S = 1_000_000


def use(role, cadence_s=1.0):
    return SignalUse(SignalId("sig_01J0000000000000000000000A"), str(role), role, cadence_s)


def series(times_s, values, grades=None):
    times = np.asarray(times_s, np.int64) * S
    values = np.broadcast_to(np.asarray(values, np.float64), times.shape).copy()
    return Series(times, values, np.zeros(times.size, np.uint8) if grades is None else grades)


def pump(power, flow, times_s=None):
    times_s = range(len(power)) if times_s is None else times_s
    return {
        Role.POWER: (use(Role.POWER), series(times_s, power)),
        Role.FLOW: (use(Role.FLOW), series(times_s, flow)),
    }


def held(specific=1e5, error=0.0, residual=0.0, from_s=0, to_s=10**9, configuration="cfg"):
    learned = Learned(specific, error, residual, 20.0, 19.0, 400, 0, S, "power")
    period = ConfigurationPeriod(configuration, from_s * S, to_s * S)
    return HeldBaseline(Baseline(ACME, PUMP, period, learned), 0)


def window(from_s, to_s):
    return Window(PUMP, round(from_s * S), round(to_s * S))


powers = st.lists(st.floats(0.0, 1e5), min_size=2, max_size=60)
flows = st.floats(0.0, 1.0)


@given(powers, st.data())
def test_waste_is_additive_over_disjoint_windows(power, data):
    flow = data.draw(st.lists(flows, min_size=len(power), max_size=len(power)))
    gaps = data.draw(st.lists(st.integers(1, 9), min_size=len(power), max_size=len(power)))
    steps = steps_of(pump(power, flow, np.cumsum(gaps)))
    end = int(np.sum(gaps)) + 5
    cuts = sorted({0.0, float(end), *data.draw(st.lists(st.floats(0.5, end - 0.5), max_size=5))})
    # Two configurations, whose change falls into one of the windows.
    baselines = [held(1e5, to_s=end // 2), held(2e5, from_s=end // 2)]

    whole, _ = waste_in(steps, window(0, end), baselines)
    parts = [waste_in(steps, window(a, b), baselines)[0] for a, b in itertools.pairwise(cuts)]

    for name in ("wasted_j", "actual_j", "expected_j", "volume_m3", "covered_s"):
        total = sum(getattr(part, name) for part in parts if part is not None)
        assert total == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-3)


@given(st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=60), st.floats(1.0, 1e7))
def test_a_pump_that_needs_what_its_baseline_says_wastes_nothing(flow, specific):
    power = [specific * q for q in flow]
    waste, _ = waste_in(steps_of(pump(power, flow)), window(0, len(flow)), [held(specific)])

    assert waste.wasted_j == pytest.approx(0.0, abs=1e-9 * waste.actual_j)
    assert waste.lo90_j <= waste.wasted_j <= waste.hi90_j


@given(
    st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=30), st.floats(0, 1e4), st.floats(0, 1e3)
)
def test_extra_power_is_wasted_whatever_the_flow(flow, extra, residual):
    healthy = [1e5 * q for q in flow]
    baseline = [held(1e5, error=10.0, residual=residual)]
    over = window(0, len(flow))

    less, _ = waste_in(steps_of(pump(healthy, flow)), over, baseline)
    more, _ = waste_in(steps_of(pump([p + extra for p in healthy], flow)), over, baseline)

    assert more.wasted_j - less.wasted_j == pytest.approx(extra * more.covered_s, abs=1e-3)
    assert more.half_width_j == pytest.approx(less.half_width_j)


@given(powers, st.randoms(use_true_random=False), st.integers(1, 4))
def test_order_and_repetition_of_readings_change_nothing(power, random, repeats):
    times = list(range(len(power)))
    parts = [series([t], [p]) for t, p in zip(times, power, strict=True)] * repeats
    random.shuffle(parts)
    merged = Series.merged(parts)

    assert merged.times_us.tolist() == [t * S for t in times]
    assert merged.values.tolist() == power


def test_a_later_part_corrects_an_earlier_one():
    merged = Series.merged([series([1, 2], [10.0, 20.0]), series([2], [25.0])])
    assert merged.values.tolist() == [10.0, 25.0]


def test_a_gap_is_not_filled():
    steps = steps_of(pump([100.0, 100.0], [0.1, 0.1], [0, 60]))
    waste, _ = waste_in(steps, window(0, 63), [held()])

    assert waste.covered_s == 6.0


def test_power_wins_over_current_and_voltage():
    inputs = pump([100.0] * 3, [0.1] * 3) | {
        Role.CURRENT: (use(Role.CURRENT), series(range(3), 2.0)),
        Role.VOLTAGE: (use(Role.VOLTAGE), series(range(3), 230.0)),
    }
    assert set(steps_of(inputs).power_w) == {100.0}
    del inputs[Role.POWER]
    derived = steps_of(inputs)
    assert set(derived.power_w) == {460.0}
    assert derived.source == "current*voltage"
    del inputs[Role.VOLTAGE]
    assert steps_of(inputs) is None


def test_without_a_baseline_nothing_is_stated():
    steps = steps_of(pump([100.0] * 3, [0.1] * 3))
    assert waste_in(steps, window(0, 3), []) == (None, ())
    assert waste_in(steps, window(0, 3), [held(from_s=100)]) == (None, ())


def noisy(rng, count, specific=1e5, noise_w=50.0):
    flow = 0.01 + 0.0005 * rng.standard_normal(count)
    return specific * flow + noise_w * rng.standard_normal(count), flow


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(1e4, 1e6))
def test_the_specific_energy_is_found_in_noise(seed, specific):
    power, flow = noisy(np.random.default_rng(seed), 450, specific)
    learned = learn(pump(power, flow), ConfigurationPeriod("cfg", 0), readings=400)

    error = abs(learned.specific_energy_j_per_m3 - specific)
    assert error < 6 * max(learned.standard_error_j_per_m3, 1.0)
    assert learned.readings == 400


def test_the_interval_covers_the_truth_about_nine_times_in_ten():
    covered = 0
    trials = 200
    for seed in range(trials):
        power, flow = noisy(np.random.default_rng(seed), 1000)
        extra = np.where(np.arange(1000) >= 400, 30.0, 0.0)
        inputs = pump(power + extra, flow)
        period = ConfigurationPeriod("cfg", 0)
        learned = learn(inputs, period, readings=400)
        baseline = HeldBaseline(Baseline(ACME, PUMP, period, learned), 0)
        waste, _ = waste_in(steps_of(inputs), window(400, 1000), [baseline])
        covered += waste.lo90_j <= 30.0 * waste.covered_s <= waste.hi90_j
    assert 0.83 <= covered / trials <= 0.97, covered / trials


def test_a_baseline_waits_for_enough_readings_of_a_running_pump():
    period = ConfigurationPeriod("cfg", 0)
    short = pump([100.0] * 400, [0.1] * 400)
    stopped = pump([0.0] * 500, [0.0] * 500)
    late = pump([0.0] * 300 + [100.0] * 300, [0.0] * 300 + [0.1] * 300)

    assert learn(short, period, readings=400) is None
    assert learn(stopped, period, readings=400) is None
    assert learn(late, period, readings=200).from_us == 300 * S


def test_a_baseline_is_learned_inside_its_configuration_only():
    inputs = pump([100.0] * 500 + [300.0] * 500, [0.1] * 1000)
    first = learn(inputs, ConfigurationPeriod("a", 0, 500 * S), readings=400)
    second = learn(inputs, ConfigurationPeriod("b", 500 * S), readings=400)

    assert first.specific_energy_j_per_m3 == pytest.approx(1000.0)
    assert second.specific_energy_j_per_m3 == pytest.approx(3000.0)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_more_readings_later_do_not_move_a_baseline(seed, stopped):
    rng = np.random.default_rng(seed)
    power, flow = noisy(rng, 300)
    off = rng.choice(300, stopped, replace=False)
    power[off] = flow[off] = 0.0
    period = ConfigurationPeriod("cfg", 0)
    learned = [learn(pump(power[:n], flow[:n]), period, readings=100) for n in range(90, 300, 7)]
    known = [told for told in learned if told is not None]

    assert known
    assert known == [known[0]] * len(known)
    assert learned[-len(known) :] == known


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(4, 2.1318), (9, 1.8331), (19, 1.7291), (1e9, 1.6449)]
)
def test_student_quantiles_agree_with_tables(degrees, quantile):
    assert student_90(degrees) == pytest.approx(quantile, rel=2e-3)


@given(st.floats(-1e9, 0.0))
def test_an_impossible_baseline_is_refused(specific):
    assume(specific <= 0)
    with pytest.raises(InvalidInputError):
        Learned(specific, 0.0, 0.0, 1.0, 10.0, 400, 0, 1, "power")
