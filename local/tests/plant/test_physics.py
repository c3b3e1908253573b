import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_local.plant import building
from twinmesh_local.plant.physics import (
    GRAVITY_M_PER_S2,
    WATER_DENSITY_KG_PER_M3,
    Circuit,
    Pump,
    duty,
    efficiency_ratio,
    lagged,
    pump_head_m,
    rated_power_w,
)
from twinmesh_sdk.core.errors import InvalidInputError

PUMP = Pump()
CIRCUIT = Circuit()
speeds = st.floats(0.3, 1.2)
ratios = st.floats(0.0, 1.0)
openings = st.floats(0.05, 1.0)


def column(*values):
    return np.array(values, dtype=np.float64)


def at(speed=1.0, opening=1.0, wear=0.0, circuit=CIRCUIT):
    return duty(
        PUMP,
        circuit,
        speed_ratio=column(speed),
        opening_ratio=column(opening),
        wear_ratio=column(wear),
    )


@given(speeds, st.floats(0.0, 0.03), ratios)
def test_head_follows_the_affinity_laws(speed, flow, wear):
    rated = pump_head_m(PUMP, column(flow), column(1.0), column(wear))
    scaled = pump_head_m(PUMP, column(flow * speed), column(speed), column(wear))
    assert scaled == pytest.approx(rated * speed**2)


@given(speeds, st.floats(0.005, 0.03))
def test_efficiency_moves_with_speed_along_the_same_part_load(speed, flow):
    rated = efficiency_ratio(PUMP, column(flow), column(1.0), column(0.0))
    scaled = efficiency_ratio(PUMP, column(flow * speed), column(speed), column(0.0))
    assert scaled == pytest.approx(rated)


@given(speeds)
def test_without_static_head_flow_goes_with_speed_and_power_with_its_cube(speed):
    circuit = Circuit(static_head_m=0.0)
    full, part = at(circuit=circuit), at(speed=speed, circuit=circuit)
    assert part.flow_m3_per_s == pytest.approx(full.flow_m3_per_s * speed)
    assert part.power_w == pytest.approx(full.power_w * speed**3)


@given(st.floats(0.75, 1.2), openings, ratios)
def test_electrical_power_pays_for_the_hydraulic_power_and_the_losses(speed, opening, wear):
    point = at(speed, opening, wear)
    weight = WATER_DENSITY_KG_PER_M3 * GRAVITY_M_PER_S2
    raised = weight * point.flow_m3_per_s * point.head_m
    assert point.hydraulic_power_w == pytest.approx(raised)
    spent = point.power_w * point.efficiency_ratio * PUMP.motor_efficiency_ratio
    assert spent == pytest.approx(raised)
    assert np.all(point.power_w >= point.hydraulic_power_w)


@given(st.floats(0.75, 1.2), openings, ratios)
def test_the_duty_point_lies_on_both_curves(speed, opening, wear):
    circuit = Circuit()
    point = at(speed, opening, wear)
    losses = circuit.suction_loss + circuit.valve_loss / opening**2 + circuit.discharge_loss
    needed = circuit.static_head_m + losses * point.flow_m3_per_s**2
    assert point.head_m == pytest.approx(needed, rel=1e-6)


@given(st.floats(0.75, 1.2), openings, openings)
def test_closing_the_inlet_valve_never_raises_flow_or_suction_pressure(speed, one, other):
    wide, narrow = at(speed, max(one, other)), at(speed, min(one, other))
    assert narrow.flow_m3_per_s <= wide.flow_m3_per_s * (1 + 1e-12)
    assert narrow.suction_pressure_pa <= wide.suction_pressure_pa * (1 + 1e-12)


@given(st.floats(0.85, 1.2), ratios, ratios)
def test_wear_costs_flow_and_energy_per_volume(speed, one, other):
    new, worn = at(speed, 1.0, min(one, other)), at(speed, 1.0, max(one, other))
    assert worn.flow_m3_per_s <= new.flow_m3_per_s * (1 + 1e-12)
    assert worn.efficiency_ratio <= new.efficiency_ratio * (1 + 1e-9)


def test_a_pump_too_slow_for_the_lift_delivers_nothing():
    point = at(speed=0.3)
    assert point.flow_m3_per_s == 0.0
    assert 0.0 < point.power_w[0] < 0.1 * rated_power_w(PUMP)


def test_the_new_pump_runs_near_its_best_point():
    point = at()
    assert point.flow_m3_per_s[0] == pytest.approx(PUMP.best_flow_m3_per_s, rel=0.02)
    assert point.efficiency_ratio[0] == pytest.approx(PUMP.best_efficiency_ratio, rel=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"speed": 1.3}, {"speed": -0.1}, {"opening": 1.1}, {"wear": -0.01}]
)
def test_what_no_pump_can_do_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        at(**wrong)


@given(st.floats(1.0, 100.0), st.floats(-50.0, 50.0), st.floats(-50.0, 50.0))
def test_a_lag_stays_between_start_and_target(constant, start, target):
    out = lagged(np.full(50, target), start=start, step_s=1.0, time_constant_s=constant)
    low, high = min(start, target), max(start, target)
    assert np.all((out >= low - 1e-9) & (out <= high + 1e-9))
    assert abs(out[-1] - target) <= abs(start - target) + 1e-9


def test_the_meter_counts_what_the_intervals_consume():
    start = building.METER_ZERO_US + 40 * 86_400_000_000
    stamps = building.intervals(start, start + 86_400_000_000)
    register = building.electricity_register_j(stamps)
    steps = np.diff(register)
    assert np.all(steps >= 0.0)
    assert steps == pytest.approx(building.electricity_j(stamps)[:-1])


@given(st.integers(0, 20_000), st.integers(1, 96))
def test_an_interval_has_the_same_energy_in_whatever_window_it_is_asked_for(first, count):
    step = building.INTERVAL_S * 1_000_000
    start = building.METER_ZERO_US + first * step
    whole = building.intervals(start, start + count * step)
    assert building.gas_j(whole)[-1:] == pytest.approx(building.gas_j(whole[-1:]))
    assert building.electricity_j(whole)[-1:] == pytest.approx(building.electricity_j(whole[-1:]))


def test_noise_looks_normal_and_differs_between_streams():
    index = np.arange(20_000, dtype=np.int64)
    one, other = (building.hashed_normal(index, stream=s) for s in (1, 2))
    assert abs(one.mean()) < 0.05
    assert one.std() == pytest.approx(1.0, abs=0.05)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
