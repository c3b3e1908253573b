"""Centrifugal pump physics: plain functions of arrays, SI units, no time, no randomness.

Sources:
    Affinity laws and curve shapes: J. F. Guelich, Centrifugal Pumps, 3rd ed., 2014, sections 3.5
    (similarity), 4.1 (characteristics) and 6.2.3 (NPSH). Loss of a throttled valve: I. E. Idelchik,
    Handbook of Hydraulic Resistance, 4th ed., section 9 (the loss coefficient falls with the square
    of the opening).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twinmesh_sdk.core.errors import InvalidInputError

Array = npt.NDArray[np.float64]

WATER_DENSITY_KG_PER_M3: Final = 998.2
GRAVITY_M_PER_S2: Final = 9.80665
ATMOSPHERE_PA: Final = 101_325.0
VAPOUR_PRESSURE_PA: Final = 2_339.0
"""Water at 20 degrees Celsius. Source: IAPWS-95."""


@dataclass(frozen=True, slots=True)
class Pump:
    """A pump's curve at rated speed: `H = shutoff_head_m - head_slope * Q**2`.

    Attributes:
        head_slope: Metres per (m3/s) squared.
        best_flow_m3_per_s: Flow at the best efficiency point, at rated speed.
        vibration_m_per_s: Broadband velocity RMS at the best efficiency point and rated speed.
        npsh_required_m: Net positive suction head required at the best efficiency point.
    """

    rated_speed_hz: float = 49.2
    shutoff_head_m: float = 40.0
    head_slope: float = 20_000.0
    best_flow_m3_per_s: float = 0.020
    best_efficiency_ratio: float = 0.78
    motor_efficiency_ratio: float = 0.92
    vibration_m_per_s: float = 1.6e-3
    npsh_required_m: float = 3.0

    def __post_init__(self) -> None:
        """Refuse a pump that could not run."""
        ratios = (self.best_efficiency_ratio, self.motor_efficiency_ratio)
        if not all(0.0 < ratio <= 1.0 for ratio in ratios):
            raise InvalidInputError("efficiencies lie above 0 and up to 1")
        positive = (
            self.rated_speed_hz, self.shutoff_head_m, self.head_slope, self.best_flow_m3_per_s
        )  # fmt: skip
        if not all(0.0 < each < float("inf") for each in positive):
            raise InvalidInputError("speed, head, slope and flow are positive and finite")


@dataclass(frozen=True, slots=True)
class Circuit:
    """What the pump works against: a static lift and losses that go with the square of the flow.

    Attributes:
        suction_loss: Metres per (m3/s) squared, pipe before the pump, the valve left out.
        valve_loss: The same for the fully open inlet valve.
        discharge_loss: The same for everything behind the pump.
    """

    static_head_m: float = 12.0
    suction_level_m: float = 3.0
    suction_loss: float = 4_000.0
    valve_loss: float = 1_000.0
    discharge_loss: float = 45_000.0


@dataclass(frozen=True, slots=True)
class Duty:
    """Where pump and circuit meet, row by row."""

    flow_m3_per_s: Array
    head_m: Array
    suction_pressure_pa: Array
    discharge_pressure_pa: Array
    efficiency_ratio: Array
    hydraulic_power_w: Array
    power_w: Array
    vibration_m_per_s: Array


WORN_HEAD_RATIO: Final = 0.25
WORN_EFFICIENCY_RATIO: Final = 0.25


def pump_head_m(pump: Pump, flow_m3_per_s: Array, speed_ratio: Array, wear_ratio: Array) -> Array:
    """Return the head at a flow and speed.

    Wear: 0 new, 1 worn out, when a quarter of the shut-off head is gone (enlarged wear-ring gaps).

    Source:
        Affinity laws: Q goes with n, H with n squared; so the constant scales, the slope stays.
    """
    shutoff = pump.shutoff_head_m * speed_ratio**2 * (1.0 - WORN_HEAD_RATIO * wear_ratio)
    return np.asarray(shutoff - pump.head_slope * flow_m3_per_s**2)


def efficiency_ratio(
    pump: Pump, flow_m3_per_s: Array, speed_ratio: Array, wear_ratio: Array
) -> Array:
    """Return the hydraulic efficiency: a parabola through zero flow and the best point.

    Source:
        Guelich 4.1: near the best point the curve is close to `2 x - x**2` with x = Q / (n Q_best).
        Below 5 % of the best efficiency the parabola says nothing; it is cut off there.
    """
    best_flow = pump.best_flow_m3_per_s * np.maximum(speed_ratio, 1e-9)
    part = flow_m3_per_s / best_flow
    shape = np.maximum(2.0 * part - part**2, 0.05)
    worn = 1.0 - WORN_EFFICIENCY_RATIO * wear_ratio
    return np.asarray(pump.best_efficiency_ratio * shape * worn)


def valve_loss(circuit: Circuit, opening_ratio: Array) -> Array:
    """Return the inlet valve's loss at an opening of 0 (shut, held at 1 %) to 1.

    Source: Idelchik, section 9: the loss coefficient goes with 1 / opening squared.
    """
    return np.asarray(circuit.valve_loss / np.maximum(opening_ratio, 0.01) ** 2)


def duty(
    pump: Pump, circuit: Circuit, *, speed_ratio: Array, opening_ratio: Array, wear_ratio: Array
) -> Duty:
    """Solve where the pump curve meets the circuit's, in closed form, for every row.

    Args:
        pump: The machine.
        circuit: What it works against.
        speed_ratio: Actual over rated speed; 0 stands still.
        opening_ratio: Inlet valve, 0 to 1.
        wear_ratio: 0 new to 1 worn out.

    Returns:
        Electrical power is positive when the pump consumes it. A pump that is too slow to lift the
        water (check valve) delivers nothing and takes a tenth of its rated power.

    Raises:
        InvalidInputError: An argument is outside its range.
    """
    for name, values in (("opening_ratio", opening_ratio), ("wear_ratio", wear_ratio)):
        if not bool(np.all((values >= 0.0) & (values <= 1.0))):
            raise InvalidInputError(f"{name} lies in 0..1")
    if not bool(np.all((speed_ratio >= 0.0) & (speed_ratio <= 1.2))):
        raise InvalidInputError("speed_ratio lies in 0..1.2")
    inlet = circuit.suction_loss + valve_loss(circuit, opening_ratio)
    lift = pump_head_m(pump, np.zeros_like(speed_ratio), speed_ratio, wear_ratio)
    resistance = pump.head_slope + inlet + circuit.discharge_loss
    flow = np.sqrt(np.maximum(lift - circuit.static_head_m, 0.0) / resistance)
    head = pump_head_m(pump, flow, speed_ratio, wear_ratio)
    weight = WATER_DENSITY_KG_PER_M3 * GRAVITY_M_PER_S2
    suction = ATMOSPHERE_PA + weight * (circuit.suction_level_m - inlet * flow**2)
    suction = np.maximum(suction, VAPOUR_PRESSURE_PA)
    efficiency = efficiency_ratio(pump, flow, speed_ratio, wear_ratio)
    hydraulic = weight * flow * head
    standing = 0.1 * rated_power_w(pump) * np.minimum(speed_ratio, 1.0) ** 3
    electrical = np.where(
        flow > 0.0, hydraulic / (efficiency * pump.motor_efficiency_ratio), standing
    )
    return Duty(
        flow_m3_per_s=flow,
        head_m=head,
        suction_pressure_pa=suction,
        discharge_pressure_pa=suction + weight * head,
        efficiency_ratio=efficiency,
        hydraulic_power_w=hydraulic,
        power_w=electrical,
        vibration_m_per_s=vibration_m_per_s(pump, flow, speed_ratio, wear_ratio, suction),
    )


def rated_power_w(pump: Pump) -> float:
    """Return the electrical power at the best efficiency point and rated speed."""
    flow = pump.best_flow_m3_per_s
    head = pump.shutoff_head_m - pump.head_slope * flow**2
    weight = WATER_DENSITY_KG_PER_M3 * GRAVITY_M_PER_S2
    return weight * flow * head / (pump.best_efficiency_ratio * pump.motor_efficiency_ratio)


def vibration_m_per_s(
    pump: Pump, flow: Array, speed_ratio: Array, wear_ratio: Array, suction_pa: Array
) -> Array:
    """Return the broadband vibration velocity (RMS, 10 to 1000 Hz) at the bearing housing.

    Source:
        Shape after Guelich 10.7: lowest near the best point, growing with the square of distance
        from it, with speed squared, with wear (imbalance), and steeply where the suction head
        available falls below 1.5 times the one required (cavitation). The factors are ours:
        plausible, not measured.
    """
    best_flow = pump.best_flow_m3_per_s * np.maximum(speed_ratio, 1e-9)
    off_design = 1.0 + 3.0 * (flow / best_flow - 1.0) ** 2
    weight = WATER_DENSITY_KG_PER_M3 * GRAVITY_M_PER_S2
    available_m = (suction_pa - VAPOUR_PRESSURE_PA) / weight
    required_m = pump.npsh_required_m * np.maximum(flow / pump.best_flow_m3_per_s, 0.1) ** 2
    cavitation = 1.0 + 2.0 * np.clip(1.5 - available_m / required_m, 0.0, 1.5)
    return np.asarray(
        pump.vibration_m_per_s * speed_ratio**2 * off_design * cavitation * (1.0 + wear_ratio)
    )


def lagged(target: Array, *, start: float, step_s: float, time_constant_s: float) -> Array:
    """Return a first-order lag of `target`, beginning at `start`.

    Source: exact step response of a single thermal capacity, `exp(-step / time constant)`.
    """
    if step_s <= 0.0 or time_constant_s <= 0.0:
        raise InvalidInputError("step and time constant are positive")
    keep = float(np.exp(-step_s / time_constant_s))
    out = np.empty_like(target)
    state = start
    for row in range(target.size):
        state = keep * state + (1.0 - keep) * float(target[row])
        out[row] = state
    return out


def bearing_temperature_k(power_w: Array, *, ambient_k: float, step_s: float) -> Array:
    """Return the bearing temperature: ambient plus 2.5 K per kW, time constant ten minutes.

    Begins in balance with the mean of the first five minutes.
    """
    balance = ambient_k + 2.5e-3 * power_w
    warm = max(1, round(300.0 / step_s))
    start = float(np.mean(balance[:warm])) if balance.size else ambient_k
    return lagged(balance, start=start, step_s=step_s, time_constant_s=600.0)
