"""Two pump skids and a building, simulated: all of it follows from a seed and a start time.

One pump, chosen by the seed, gets a fault at an onset chosen by the seed; the other stays healthy.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from twinmesh_local.plant import building
from twinmesh_local.plant.model import (
    AssetSpec,
    ConfigurationSpec,
    PlantSpec,
    SignalSpec,
    Stamps,
    Track,
    Values,
)
from twinmesh_local.plant.physics import Array, Circuit, Pump, bearing_temperature_k, duty
from twinmesh_sdk.core.errors import InvalidInputError

SOURCE: Final = "simulator"
PUMPS: Final = ("P-901", "P-902")
BUILDING: Final = "B-901"
STATION: Final = "WS-901"
SITE: Final = "SIM-SITE"

PUMP_ROOM_K: Final = 293.15
RUNNING: Final = 1.0
STEP_S: Final = 1
EARLIEST_ONSET_S: Final = 700
LATEST_ONSET_S: Final = 1000
RAMP_S: Final = 240
EPISODE_S: Final = 1800
HISTORY_DAYS: Final = 14


class Fault(StrEnum):
    """What goes wrong on the chosen pump."""

    INLET_VALVE_CLOSING = "INLET_VALVE_CLOSING"
    IMPELLER_WEAR = "IMPELLER_WEAR"


PUMP_SIGNALS: Final = (
    SignalSpec("flow", "flow", "m3/s", "m3/s", STEP_S, 0.0, 1.0),
    SignalSpec("suction_pressure", "suction_pressure", "Pa", "Pa", STEP_S, 0.0, 1e6),
    SignalSpec("discharge_pressure", "discharge_pressure", "Pa", "Pa", STEP_S, 0.0, 1e7),
    SignalSpec("power", "power", "W", "W", STEP_S, 0.0, 1e6),
    SignalSpec("vibration", "vibration", "mm/s", "m/s", STEP_S, 0.0, 0.1),
    SignalSpec("temperature", "temperature", "Cel", "K", STEP_S, 223.15, 473.15),
    SignalSpec("speed", "speed", "Hz", "Hz", STEP_S, 0.0, 100.0),
    SignalSpec("operating_mode", "operating_mode", "1", "1", STEP_S, 0.0, 3.0, kind="state"),
)
"""`operating_mode`: 0 stopped, 1 running, 2 standby, 3 maintenance."""

BUILDING_SIGNALS: Final = (
    SignalSpec(
        "electricity_energy", "electricity_register", "kW.h", "J", building.INTERVAL_S,
        0.0, None, kind="counter",
    ),
    SignalSpec("gas_energy", "gas_interval", "kW.h", "J", building.INTERVAL_S, 0.0, 1e12),
)  # fmt: skip

STATION_SIGNALS: Final = (
    SignalSpec(
        "air_temperature", "air_temperature", "Cel", "K", building.INTERVAL_S, 213.15, 333.15
    ),
    SignalSpec(
        "solar_irradiance", "solar_irradiance", "W/m2", "W/m2", building.INTERVAL_S, 0.0, 1500.0
    ),
)

_J_PER_KWH: Final = 3.6e6
_ZERO_CELSIUS_K: Final = 273.15
_NOISE: Final = {
    "flow": 0.005, "suction_pressure": 0.006, "discharge_pressure": 0.003, "power": 0.005,
    "vibration": 0.03, "temperature": 0.0003, "speed": 0.0005,
}  # fmt: skip
"""Standard deviation of each sensor, relative to its value; plausible industrial sensors."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One simulated stretch of the pumps' life.

    Attributes:
        seed: Everything else follows from it and from `start_us`.
        onset_s: When the fault begins, seconds after the start.
        severity_ratio: How far it goes: 1 is an almost shut valve, or a worn-out impeller.
    """

    seed: int
    start_us: int
    pump: str
    fault: Fault
    onset_s: int
    severity_ratio: float

    @property
    def label(self) -> str:
        """The configuration version of both pumps: their state after the overhaul before it."""
        return f"simulated/{self.seed}"

    @property
    def onset_us(self) -> int:
        """When the fault begins, UTC microseconds."""
        return self.start_us + self.onset_s * 1_000_000

    @property
    def end_us(self) -> int:
        """First moment after the episode."""
        return self.start_us + EPISODE_S * 1_000_000


def plan_episode(seed: int, *, start_us: int) -> Episode:
    """Choose pump, fault and onset.

    Args:
        seed: 0 to 2**63 - 1.
        start_us: Plant time of the first row; cut to whole seconds.

    Raises:
        InvalidInputError: The seed is out of range.
    """
    if not 0 <= seed < 2**63:
        raise InvalidInputError("the seed lies in 0..2**63-1")
    random = np.random.default_rng([seed, 0])
    faults = tuple(Fault)
    return Episode(
        seed=seed,
        start_us=start_us // 1_000_000 * 1_000_000,
        pump=PUMPS[int(random.integers(len(PUMPS)))],
        fault=faults[int(random.integers(len(faults)))],
        onset_s=int(random.integers(EARLIEST_ONSET_S, LATEST_ONSET_S + 1)),
        severity_ratio=float(random.uniform(0.75, 0.95)),
    )


def fault_progress(episode: Episode, pump: str, seconds: Array) -> Array:
    """Return 0 before the onset, rising to the severity over the ramp, then constant."""
    if pump != episode.pump:
        return np.zeros_like(seconds)
    return np.asarray(
        episode.severity_ratio * np.clip((seconds - episode.onset_s) / RAMP_S, 0.0, 1.0)
    )


def pump_rows(episode: Episode, pump: str) -> Track:
    """Return one pump's rows over the episode, in the units of `PUMP_SIGNALS`."""
    random = np.random.default_rng([episode.seed, 1 + PUMPS.index(pump)])
    seconds = np.arange(0.0, EPISODE_S, STEP_S)
    progress = fault_progress(episode, pump, seconds)
    closing = episode.fault is Fault.INLET_VALVE_CLOSING
    phase = float(random.uniform(0.0, 2.0 * np.pi))
    # The set-point follows demand in a wave that any baseline of a few minutes sees in full.
    speed = 0.97 + 0.02 * np.sin(2.0 * np.pi * seconds / 150.0 + phase)
    machine = Pump()
    point = duty(
        machine,
        Circuit(),
        speed_ratio=speed,
        opening_ratio=1.0 - 0.85 * progress if closing else np.ones_like(seconds),
        wear_ratio=np.zeros_like(seconds) if closing else progress,
    )
    exact = {
        "flow": point.flow_m3_per_s,
        "suction_pressure": point.suction_pressure_pa,
        "discharge_pressure": point.discharge_pressure_pa,
        "power": point.power_w,
        "vibration": point.vibration_m_per_s * 1e3,
        "temperature": bearing_temperature_k(point.power_w, ambient_k=PUMP_ROOM_K, step_s=STEP_S),
        "speed": speed * machine.rated_speed_hz,
    }
    columns = [
        value * (1.0 + _NOISE[name] * random.standard_normal(seconds.size))
        for name, value in exact.items()
    ]
    columns[list(exact).index("temperature")] -= _ZERO_CELSIUS_K
    columns.append(np.full(seconds.size, RUNNING))
    return Track(
        source=SOURCE,
        device=pump,
        signals=tuple(signal.source_signal for signal in PUMP_SIGNALS),
        stamps=episode.start_us + (seconds * 1e6).astype(np.int64),
        values=_rounded(np.column_stack(columns)),
        zoned=True,
        first_sequence=episode.start_us // 1_000_000,
    )


def building_rows(start_us: int, end_us: int) -> Track:
    """Return the building's meters at the interval bounds in start..end, in kWh.

    The register is what the meter shows then; the gas is what was burnt in the interval before.
    """
    stamps = building.intervals(start_us, end_us)
    before = stamps - building.INTERVAL_S * 1_000_000
    columns = (building.electricity_register_j(stamps), building.gas_j(before))
    energy_kwh = np.column_stack(columns) / _J_PER_KWH
    return _interval_track(BUILDING, BUILDING_SIGNALS, stamps, energy_kwh)


def station_rows(start_us: int, end_us: int) -> Track:
    """Return the weather at the interval bounds in start..end."""
    stamps = building.intervals(start_us, end_us)
    columns = (
        building.outdoor_temperature_k(stamps) - _ZERO_CELSIUS_K,
        building.irradiance_w_per_m2(stamps),
    )
    return _interval_track(STATION, STATION_SIGNALS, stamps, np.column_stack(columns))


def _interval_track(
    device: str, signals: tuple[SignalSpec, ...], stamps: Stamps, values: Values
) -> Track:
    # Sequence numbers count intervals since 1970, so a repeat has the number it had before.
    first = int(stamps[0]) // (building.INTERVAL_S * 1_000_000) if stamps.size else 0
    return Track(
        source=SOURCE,
        device=device,
        signals=tuple(signal.source_signal for signal in signals),
        stamps=stamps,
        values=_rounded(values),
        zoned=True,
        first_sequence=first,
    )


def _rounded(values: Values) -> Values:
    """Return seven significant digits, as a transmitter sends."""
    size = np.floor(np.log10(np.maximum(np.abs(values), 1e-12)))
    scale = 10.0 ** (6.0 - size)
    return np.asarray(np.round(values * scale) / scale)


def plant_of(episode: Episode) -> PlantSpec:
    """Return the simulated plant, with the pumps' configuration for this episode."""
    pumps = tuple(
        AssetSpec(
            name=name, asset_class="pump", source=SOURCE, device=name,
            signals=PUMP_SIGNALS, located_in=BUILDING,
        )
        for name in PUMPS
    )  # fmt: skip
    attributes: dict[str, str | float] = {
        "impeller_diameter_m": 0.21, "rated_speed_hz": Pump().rated_speed_hz,
        "overhauled": "impeller new, inlet valve fully open",
    }  # fmt: skip
    return PlantSpec(
        assets=(
            AssetSpec(name=SITE, asset_class="site"),
            AssetSpec(
                name=BUILDING, asset_class="building", source=SOURCE, device=BUILDING,
                signals=BUILDING_SIGNALS, located_in=SITE,
            ),
            AssetSpec(
                name=STATION, asset_class="weather_station", source=SOURCE, device=STATION,
                signals=STATION_SIGNALS, located_in=SITE,
            ),
            *pumps,
        ),
        configurations=tuple(
            ConfigurationSpec(name, episode.label, episode.start_us, attributes) for name in PUMPS
        ),
    )  # fmt: skip
