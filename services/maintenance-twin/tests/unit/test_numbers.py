"""Quantiles, baselines and probabilities: properties over examples."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maintenance_twin.decide.chart import Chart, ChartState
from maintenance_twin.decide.diagnose import diagnose
from maintenance_twin.decide.learn import NotYet, learn_baseline
from maintenance_twin.decide.prognosis import Outlook, lead_time_s, probability_of
from maintenance_twin.decide.quantile import (
    beta_cdf,
    f_quantile,
    f_upper_tail,
    hotelling_limit,
    normal_cdf,
)
from maintenance_twin.model.signal import Role, Signal
from maintenance_twin.model.tuning import DEFAULT, US
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import SignalId

START_US = 1_767_225_600_000_000


@pytest.mark.parametrize(
    ("upper", "d1", "d2", "expected"),
    [
        (0.05, 1, 10, 4.9646),
        (0.05, 5, 40, 2.4495),
        (0.01, 4, 20, 4.4307),
        (0.001, 3, 60, 6.1712),
    ],
)
def test_f_quantiles_are_those_of_the_tables(upper, d1, d2, expected):
    assert f_quantile(upper, d1, d2) == pytest.approx(expected, abs=2e-4)


@given(st.floats(1e-8, 0.49), st.integers(1, 30), st.integers(2, 500))
def test_a_quantile_is_exceeded_with_its_probability(upper, d1, d2):
    assert f_upper_tail(f_quantile(upper, d1, d2), d1, d2) == pytest.approx(upper, rel=1e-6)


@given(st.floats(1e-3, 0.999), st.floats(0.5, 50), st.floats(0.5, 50))
def test_the_beta_distribution_mirrors(x, a, b):
    assert beta_cdf(x, a, b) == pytest.approx(1.0 - beta_cdf(1.0 - x, b, a), abs=1e-9)


@given(st.floats(-8, 8))
def test_the_normal_distribution_mirrors(z):
    assert normal_cdf(z) + normal_cdf(-z) == pytest.approx(1.0)


def test_a_limit_shrinks_with_knowledge_towards_chi_square():
    few, many, all_ = (hotelling_limit(0.01, 4, n) for n in (10, 100, 1e6))

    assert few > many > all_
    assert all_ == pytest.approx(13.277, abs=0.01)  # chi-square, 4 degrees of freedom, 1 %


def test_a_limit_needs_more_rows_than_signals():
    with pytest.raises(InvalidInputError):
        hotelling_limit(0.01, 4, 4)


OUTLOOKS = st.builds(
    Outlook,
    deviation=st.floats(-100, 100),
    acceptable=st.floats(0.1, 100),
    level_sd=st.floats(0.01, 10),
    drift_var_per_s=st.floats(0, 1e-3),
    upward_only=st.booleans(),
)


@given(st.lists(OUTLOOKS, max_size=8))
def test_a_probability_is_one(outlooks):
    probability = probability_of(outlooks, 14_400.0)

    assert 0.0 <= probability.value <= 1.0
    assert probability.calibration == "NONE"


@given(st.lists(OUTLOOKS, min_size=1, max_size=6))
def test_another_deviating_signal_never_lowers_the_probability(outlooks):
    fewer = probability_of(outlooks[1:], 14_400.0).value

    assert probability_of(outlooks, 14_400.0).value >= fewer - 1e-12


@given(OUTLOOKS, st.floats(0.0, 1.0))
def test_back_towards_healthy_never_raises_the_probability(outlook, share):
    less = Outlook(
        outlook.deviation * share,
        outlook.acceptable,
        outlook.level_sd,
        outlook.drift_var_per_s,
        outlook.upward_only,
    )
    if outlook.upward_only and outlook.deviation < 0:
        return

    now = probability_of([outlook], 14_400.0).value

    assert probability_of([less], 14_400.0).value <= now + 1e-12


@given(st.floats(-4, 4), st.floats(-1, 1))
def test_a_lead_time_is_positive_or_none(deviation, slope):
    lead = lead_time_s(deviation=deviation, slope_per_s=slope, acceptable=5.0)

    assert lead is None or lead > 0
    assert (lead is None) == (deviation * slope <= 0)


def signals(count=3):
    roles = [("flow", "m3/s", Role.FLOW), ("pressure", "Pa", Role.PRESSURE)]
    roles += [(f"vibration_{n}", "m/s", Role.VIBRATION) for n in range(1, count - 1)]
    return tuple(
        Signal(SignalId(f"sig_{i:026d}"), name, unit, role, 1.0)
        for i, (name, unit, role) in enumerate(roles)
    )


def columns_of(rows, seed, *, autocorrelation=0.0, level=10.0, count=3):
    random = np.random.default_rng(seed)
    noise = random.standard_normal((rows, count))
    for row in range(1, rows):
        noise[row] = (
            autocorrelation * noise[row - 1] + math.sqrt(1 - autocorrelation**2) * noise[row]
        )
    return {s.name: level + noise[:, i] for i, s in enumerate(signals(count))}


def learned(rows=400, seed=1, **kwargs):
    times = START_US + np.arange(rows) * US
    return learn_baseline(times, columns_of(rows, seed, **kwargs), signals(), US, DEFAULT)


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5, 0.8])
def test_charts_of_healthy_rows_keep_to_their_limit_and_never_tip(autocorrelation):
    rows, charts, above = 1600, 20, 0
    times = START_US + np.arange(rows) * US
    for seed in range(charts):
        columns = columns_of(rows, seed, autocorrelation=autocorrelation)
        head = {name: values[:400] for name, values in columns.items()}
        baseline = learn_baseline(times[:400], head, signals(), US, DEFAULT)
        chart = Chart(baseline, ChartState.at(baseline), row_us=US, tuning=DEFAULT)
        for row in range(400, rows):
            values = [float(columns[t.name][row]) for t in baseline.tracks]
            chart.step(int(times[row]), values, frozen=False)
            above += chart.t_squared() > 1.0
            assert not chart.tipped

    assert above / (charts * (rows - 400)) < 0.01


def test_autocorrelation_is_paid_for_with_independent_rows():
    worth = [learned(autocorrelation=a).effective_rows for a in (0.0, 0.8, 0.95)]

    assert worth[0] >= worth[1] > worth[2]
    assert worth[0] < 50  # of 400 rows: that few slow swings fit into them


def test_a_spike_teaches_nothing():
    rows = 400
    columns = columns_of(rows, 5)
    spiked = {name: values.copy() for name, values in columns.items()}
    spiked["flow"][200] = 1e6
    times = START_US + np.arange(rows) * US

    clean = learn_baseline(times, columns, signals(), US, DEFAULT)
    other = learn_baseline(times, spiked, signals(), US, DEFAULT)

    assert other.tracks[0].mean == pytest.approx(clean.tracks[0].mean, abs=0.05)
    assert other.tracks[0].spread == pytest.approx(clean.tracks[0].spread, rel=0.1)


def test_missing_values_are_carried_and_a_missing_mandatory_signal_is_named():
    columns = columns_of(400, 3)
    columns["vibration_1"][::3] = np.nan
    columns["pressure"][5:] = np.nan
    times = START_US + np.arange(400) * US

    outcome = learn_baseline(times, columns, signals(), US, DEFAULT)

    assert outcome == NotYet(missing=("pressure",))


def test_a_constant_signal_does_not_break_the_chart():
    columns = columns_of(400, 3)
    columns["pressure"][:] = 4e5
    times = START_US + np.arange(400) * US

    baseline = learn_baseline(times, columns, signals(), US, DEFAULT)

    assert math.isfinite(baseline.limit)
    assert all(math.isfinite(v) for row in baseline.whitening for v in row)
    assert all(t.spread > 0 for t in baseline.tracks)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.12, 0.6))
def test_putting_the_top_signal_back_to_healthy_lowers_the_probability(seed, fall):
    baseline = learned(seed=seed, level=100.0)
    chart = Chart(baseline, ChartState.at(baseline), row_us=US, tuning=DEFAULT)
    falling = [t.mean * (1.0 - fall) if t.name == "flow" else t.mean for t in baseline.tracks]
    falling = [
        t.mean * (1.0 - fall / 3) if t.name == "pressure" else v
        for t, v in zip(baseline.tracks, falling, strict=True)
    ]
    for second in range(1, 300):
        chart.step(baseline.to_us + second * US, falling, frozen=False)

    now = diagnose(chart, DEFAULT)
    top = next(i for i, t in enumerate(baseline.tracks) if t.name == now.evidence[0].signal)
    chart.state.level[top] = chart.state.reference[top] = baseline.tracks[top].mean
    healed = diagnose(chart, DEFAULT)

    assert now.evidence[0].share == max(e.share for e in now.evidence)
    assert healed.probability.value < now.probability.value or now.probability.value > 1 - 1e-9
    assert now.evidence[0].signal not in {e.signal for e in healed.evidence}
