"""Which of an asset's signals the condition model understands, and what each one can tell."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId

MAX_CHARTED_SIGNALS: Final = 32
"""Signals charted per asset; more are refused, for a row costs their square."""


class Role(StrEnum):
    """What a signal measures, whatever it is called."""

    FLOW = "FLOW"
    PRESSURE = "PRESSURE"
    SUCTION_PRESSURE = "SUCTION_PRESSURE"
    POWER = "POWER"
    CURRENT = "CURRENT"
    VIBRATION = "VIBRATION"
    TEMPERATURE = "TEMPERATURE"
    SPEED = "SPEED"
    MODE = "MODE"


CHARTED: Final = frozenset(
    {
        Role.FLOW,
        Role.PRESSURE,
        Role.SUCTION_PRESSURE,
        Role.POWER,
        Role.CURRENT,
        Role.VIBRATION,
    }
)
"""Roles that answer within seconds to what the machine does; they share one T2 chart."""

WATCHED: Final = CHARTED | {Role.TEMPERATURE}
"""Roles held against their acceptance tolerance. A temperature follows the room and the day, so
400 rows say nothing about its spread: it is watched, not charted."""

MANDATORY: Final = (CHARTED - {Role.VIBRATION}) | {Role.MODE}
"""Roles without whose fresh values the twin does not decide, where the asset has them."""

_BY_NAME: Final = (
    (re.compile(r"(^|_)operating_?mode($|_)"), Role.MODE),
    (re.compile(r"accel|vib"), Role.VIBRATION),
    (re.compile(r"flow"), Role.FLOW),
    (
        re.compile(r"(suction|inlet|intake).*pressure|pressure.*(suction|inlet|intake)"),
        Role.SUCTION_PRESSURE,
    ),
    (re.compile(r"pressure|(^|_)head($|_)"), Role.PRESSURE),
    (re.compile(r"power"), Role.POWER),
    (re.compile(r"(^|_)current($|_)"), Role.CURRENT),
    (re.compile(r"temperature|thermo(couple)?|(^|_)temp($|_)"), Role.TEMPERATURE),
    (re.compile(r"(^|_)(speed|rpm)($|_)"), Role.SPEED),
)
_BY_UNIT: Final = {
    "m3/s": Role.FLOW,
    "m3/h": Role.FLOW,
    "L/s": Role.FLOW,
    "L/min": Role.FLOW,
    "kg/s": Role.FLOW,
    "Pa": Role.PRESSURE,
    "kPa": Role.PRESSURE,
    "bar": Role.PRESSURE,
    "W": Role.POWER,
    "kW": Role.POWER,
    "A": Role.CURRENT,
    "m/s2": Role.VIBRATION,
    "mm/s": Role.VIBRATION,
    "m/s": Role.VIBRATION,
    "K": Role.TEMPERATURE,
    "Cel": Role.TEMPERATURE,
    "rad/s": Role.SPEED,
    "Hz": Role.SPEED,
    "/min": Role.SPEED,
}


def role_of(name: str, unit: str) -> Role | None:
    """Tell what a signal measures, from its name on the asset, else from its unit.

    The name comes first because a unit can be ambiguous: `motor_speed` in Hz, `ambient` in K.

    >>> role_of("volume_flow_rate", "m3/s"), role_of("accelerometer_1", "m/s2")
    (<Role.FLOW: 'FLOW'>, <Role.VIBRATION: 'VIBRATION'>)
    """
    lowered = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if lowered.startswith(("ambient", "outdoor", "weather")):
        return None
    for pattern, role in _BY_NAME:
        if pattern.search(lowered):
            return role
    return _BY_UNIT.get(unit)


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal of an asset that the model understands."""

    signal_id: SignalId
    name: str
    unit: str
    role: Role
    cadence_s: float

    def __post_init__(self) -> None:
        """Refuse a cadence that is no time."""
        if not 0 < self.cadence_s < float("inf"):
            raise InvalidInputError(f"cadence_s must be positive and finite, got {self.cadence_s}")

    @property
    def mandatory(self) -> bool:
        """Whether the twin abstains without it."""
        return self.role in MANDATORY


@dataclass(frozen=True, slots=True)
class Profile:
    """The signals of one asset, in the order of their names."""

    asset_id: AssetId
    asset_class: str
    signals: tuple[Signal, ...]

    def __post_init__(self) -> None:
        """Refuse what the chart cannot afford."""
        if len(self.charted) > MAX_CHARTED_SIGNALS:
            raise InvalidInputError(
                f"{self.asset_id} has {len(self.charted)} signals to chart; "
                f"at most {MAX_CHARTED_SIGNALS}"
            )

    @property
    def charted(self) -> tuple[Signal, ...]:
        """The signals that share the chart."""
        return tuple(s for s in self.signals if s.role in CHARTED)

    @property
    def mandatory(self) -> tuple[Signal, ...]:
        """The signals without which the twin does not decide."""
        return tuple(s for s in self.signals if s.mandatory)

    @property
    def mode(self) -> Signal | None:
        """The operating mode, where the asset has one."""
        return next((s for s in self.signals if s.role is Role.MODE), None)

    @property
    def modelled(self) -> bool:
        """Whether the asset has what the model needs: a flow, and one thing that drives it."""
        roles = {s.role for s in self.signals}
        return Role.FLOW in roles and bool((CHARTED - {Role.FLOW}) & roles)

    @property
    def row_us(self) -> int:
        """Width of a row: the slowest mandatory gauge sets it, so that each row can be full."""
        paces = [s.cadence_s for s in self.mandatory if s.role is not Role.MODE]
        return max(1000, round(max(paces, default=1.0) * 1_000_000))
