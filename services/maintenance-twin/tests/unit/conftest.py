"""Recordings of the pump test bed, and the plant that a replayer would make of them."""

import csv
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from maintenance_twin.model.row import Reading
from maintenance_twin.model.signal import Profile, Signal, role_of
from maintenance_twin.model.tuning import US
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant

ROOT = Path(__file__).resolve().parents[4]
TENANT = Tenant("acme")
ASSET = AssetId("ast_" + "0" * 26)
START_US = 1_767_225_600_000_000
UNITS = {
    "Accelerometer1RMS": ("m/s2", 9.80665, 0.0),
    "Accelerometer2RMS": ("m/s2", 9.80665, 0.0),
    "Current": ("A", 1.0, 0.0),
    "Pressure": ("Pa", 1e5, 0.0),
    "Temperature": ("K", 1.0, 273.15),
    "Thermocouple": ("K", 1.0, 273.15),
    "Voltage": ("V", 1.0, 0.0),
    "Volume Flow RateRMS": ("m3/s", 1e-3 / 60.0, 0.0),
}


def snake(name: str) -> str:
    return name.lower().replace(" ", "_")


@dataclass(frozen=True)
class Recording:
    """One run: readings in SI units, and the labels, which only tests see."""

    name: str
    times_us: list[int]
    columns: dict[str, list[float]]
    anomalous: list[bool]

    @property
    def labelled_start_us(self) -> int:
        return self.times_us[self.anomalous.index(True)]

    @property
    def labelled_end_us(self) -> int:
        return self.times_us[len(self.anomalous) - 1 - self.anomalous[::-1].index(True)]

    def row_at(self, t_us: int) -> int:
        return self.times_us.index(t_us)

    def readings(self) -> list[Reading]:
        return [
            Reading(name=name, observed_us=t_us, value=values[index], arrived_us=t_us)
            for index, t_us in enumerate(self.times_us)
            for name, values in self.columns.items()
        ]


def read_run(path: Path) -> Recording:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    times = [
        round(datetime.fromisoformat(r["datetime"]).replace(tzinfo=UTC).timestamp() * 1e6)
        for r in rows
    ]
    columns = {
        snake(name): [float(r[name]) * scale + offset for r in rows]
        for name, (_, scale, offset) in UNITS.items()
    }
    return Recording(path.stem, times, columns, [r.get("anomaly") in ("1", "1.0") for r in rows])


@pytest.fixture(scope="session")
def skab():
    folder = Path(os.environ.get("TWINMESH_RECORDINGS", ROOT.parent / "shared" / "data")) / "skab"
    if not folder.is_dir():
        pytest.skip(f"no SKAB recordings at {folder}: see docs/how-to/recordings.md")
    return folder


@pytest.fixture(scope="session")
def valve_runs(skab):
    return [read_run(p) for p in sorted((skab / "valve1").glob("*.csv"), key=lambda p: int(p.stem))]


@pytest.fixture(scope="session")
def anomaly_free_run(skab):
    return read_run(next((skab / "anomaly-free").glob("*.csv")))


def profile_of(names_and_units, *, cadence_s: float = 1.0) -> Profile:
    return Profile(
        asset_id=ASSET,
        asset_class="pump",
        signals=tuple(
            Signal(SignalId(f"sig_{index:026d}"), name, unit, role, cadence_s)
            for index, (name, unit) in enumerate(sorted(names_and_units))
            if (role := role_of(name, unit)) is not None
        ),
    )


@pytest.fixture(scope="session")
def skid():
    return profile_of([(snake(name), unit) for name, (unit, _, _) in UNITS.items()])


@dataclass(frozen=True)
class Skid:
    """A made-up pump skid: seeded, so that each test sees the same plant."""

    seconds: int = 1500
    fault_s: int = 800
    seed: int = 7
    mode: bool = False
    effects: tuple[tuple[str, float], ...] = (("flow", -0.08), ("pressure", -0.06))
    ramp_s: int = 60

    LEVELS = {  # noqa: RUF012 - a table
        "flow": ("m3/s", 0.02, 0.005),
        "pressure": ("Pa", 4e5, 0.003),
        "power": ("W", 9_000.0, 0.005),
        "vibration": ("m/s", 1.6e-3, 0.03),
        "temperature": ("K", 315.0, 0.0003),
    }

    def profile(self) -> Profile:
        named = [(name, unit) for name, (unit, _, _) in self.LEVELS.items()]
        return profile_of([*named, ("operating_mode", "1")] if self.mode else named)

    def readings(self) -> list[Reading]:
        random = np.random.default_rng(self.seed)
        seconds = np.arange(self.seconds)
        grown = np.clip((seconds - self.fault_s) / self.ramp_s, 0.0, 1.0)
        effects = dict(self.effects)
        columns = {
            name: level
            * (1.0 + effects.get(name, 0.0) * grown)
            * (1.0 + noise * random.standard_normal(self.seconds))
            for name, (_, level, noise) in self.LEVELS.items()
        }
        if self.mode:
            columns["operating_mode"] = np.ones(self.seconds)
        return [
            Reading(name, START_US + s * US, float(values[s]), 0, START_US + s * US)
            for s in range(self.seconds)
            for name, values in columns.items()
        ]


@pytest.fixture
def made_skid():
    return Skid
