"""Readings of one signal, as arrays; and what a signal means to this twin."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant

Times: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]
Grades: TypeAlias = npt.NDArray[np.uint8]

HOLD_CADENCES: Final = 3.0
"""A reading speaks for the time until the next one, at most for so many cadences."""


class Role(StrEnum):
    """What a signal is to this twin; others are not kept."""

    POWER = "power"
    CURRENT = "current"
    VOLTAGE = "voltage"
    FLOW = "flow"
    METER_COUNTER = "meter-counter"
    METER_INTERVAL = "meter-interval"


_BY_NAME: Final = {
    ("power", "W"): Role.POWER,
    ("current", "A"): Role.CURRENT,
    ("voltage", "V"): Role.VOLTAGE,
    ("flow", "m3/s"): Role.FLOW,
}
METERS: Final = frozenset({Role.METER_COUNTER, Role.METER_INTERVAL})


def role_of(name: str, unit: str, kind: str) -> Role | None:
    """Return what a signal is to this twin; None for nothing.

    A pump's signals are known by name and SI unit; whatever is in joules is a meter: of kind
    counter a register, otherwise the energy of each interval.
    """
    if unit == "J":
        return Role.METER_COUNTER if kind == "counter" else Role.METER_INTERVAL
    return _BY_NAME.get((name, unit))


@dataclass(frozen=True, slots=True)
class SignalUse:
    """A signal that this twin uses.

    Attributes:
        cadence_s: Expected time between readings, > 0.
    """

    signal_id: SignalId
    name: str
    role: Role
    cadence_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings of one signal in order of time, one per time.

    Attributes:
        times_us: Source time, UTC microseconds, strictly increasing.
        values: In the signal's SI unit, finite.
        grades: OPC UA severity: 0 Good, 1 Uncertain. Bad readings are not kept.
    """

    times_us: Times
    values: Values
    grades: Grades

    def __post_init__(self) -> None:
        """Refuse columns that do not belong together."""
        if not self.times_us.shape == self.values.shape == self.grades.shape:
            raise InvalidInputError("columns of a series differ in length")

    @classmethod
    def empty(cls) -> Self:
        """Return a series without readings."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))

    @classmethod
    def merged(cls, parts: list[Self]) -> Self:
        """Return one series of several; of two readings of one time the later part's wins."""
        if not parts:
            return cls.empty()
        times = np.concatenate([part.times_us for part in parts])
        values = np.concatenate([part.values for part in parts])
        grades = np.concatenate([part.grades for part in parts])
        order = np.argsort(times, kind="stable")
        times, values, grades = times[order], values[order], grades[order]
        last = np.ones(times.size, bool)
        last[:-1] = times[1:] != times[:-1]
        return cls(times[last], values[last], grades[last])

    @property
    def size(self) -> int:
        """How many readings."""
        return int(self.times_us.size)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Readings of one signal out of one telemetry batch: how they are kept, and never changed.

    Attributes:
        known_at_us: Wall time at which telemetry stored the batch.
    """

    tenant: Tenant
    asset_id: AssetId
    use: SignalUse
    series: Series
    known_at_us: int
