"""Aligned rows: what an asset's signals said at about the same time."""

import math
from dataclasses import dataclass
from typing import Final

NO_MODE: Final = ""
"""The mode of an asset that has none."""

IDLE_MODES: Final = frozenset({"0", "2", "3"})
"""Modes are numbers on the wire: 0 stopped, 1 running, 2 standby, 3 maintenance; further numbers
are the plant's own ways of running, each with a baseline of its own."""


def mode_name(value: float) -> str:
    """Return the name of an operating mode, from the number on the wire.

    >>> mode_name(2.0)
    '2'
    """
    return str(round(value)) if math.isfinite(value) else NO_MODE


@dataclass(frozen=True, slots=True)
class Reading:
    """One resolved reading, as telemetry published it.

    Attributes:
        severity: OPC UA severity: 0 Good, 1 Uncertain, 2 Bad.
        correction: Whether it replaces a reading of the same time.
    """

    name: str
    observed_us: int
    value: float
    severity: int = 0
    arrived_us: int = 0
    correction: bool = False
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """The last values of one slot of time.

    Attributes:
        t_us: The newest observation in it.
        values: One per signal of the profile, in its order; NaN where the slot has none.
        severity: The worst OPC UA severity of a value in it.
        arrived_us: When the last of its readings was at our door.
        trace: W3C traceparent of the newest reading's message; empty when it had none.
    """

    t_us: int
    values: tuple[float, ...]
    severity: int = 0
    arrived_us: int = 0
    trace: str = ""
