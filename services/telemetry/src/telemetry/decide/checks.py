"""Checks of single readings: is it a number, is its time plausible, is it in range."""

from typing import Final

import numpy as np

from telemetry.model import quality
from telemetry.model.quarantine import Reason
from telemetry.model.reading import Bools, Bytes, Codes, Flag, Floats, Ints

US: Final = 1_000_000
# Codes of `refusals`; 0 means that the reading passes. The first that applies wins.
REASONS: Final[tuple[Reason | None, ...]] = (
    None,
    Reason.NOT_A_NUMBER,
    Reason.FUTURE,
    Reason.TOO_OLD,
)
_NOT_A_NUMBER, _FUTURE, _TOO_OLD = 1, 2, 3


def refusals(
    *, value: Floats, observed_us: Ints, arrived_us: Ints, tolerance_us: Ints, max_age_us: int
) -> Bytes:
    """Return, per reading, an index into `REASONS`: 0 passes, anything else is refused.

    Args:
        value: As the source sent it.
        observed_us: Source time.
        arrived_us: Plant time at the door.
        tolerance_us: How far a stamp may run ahead of it.
        max_age_us: How far a stamp may lie behind it.
    """
    ahead = observed_us - arrived_us
    reason = np.zeros(len(value), np.uint8)
    reason[ahead < -max_age_us] = _TOO_OLD
    reason[ahead > tolerance_us] = _FUTURE
    reason[~np.isfinite(value)] = _NOT_A_NUMBER
    return reason


def range_status(
    *, value: Floats, source_status: Codes, range_min: Floats, range_max: Floats
) -> Codes:
    """Return the status after the range check; all arrays have one element per reading.

    A value outside the physical range becomes BadOutOfRange and is kept as it is. A source that
    already said Bad knows better why.
    """
    outside = (value < range_min) | (value > range_max)
    already_bad = source_status >= quality.BAD
    return np.where(outside & ~already_bad, np.uint32(quality.BAD_OUT_OF_RANGE), source_status)


def arrival_flags(*, observed_us: Ints, arrived_us: Ints, cadence_us: Ints, behind: Bools) -> Bytes:
    """Return LATE for readings over three cadences old at the door, BACKFILLED for those that a
    newer stored one had overtaken.

    Args:
        observed_us: Source time.
        arrived_us: Plant time at the door.
        cadence_us: Declared cadence; 0 where none is, and then nothing is late.
        behind: True where the reading lies at or behind its signal's watermark.
    """  # noqa: D205 - one promise
    late = (cadence_us > 0) & (arrived_us - observed_us > 3 * cadence_us)
    flags = np.zeros(len(observed_us), np.uint8)
    flags[late] |= np.uint8(Flag.LATE)
    flags[behind] |= np.uint8(Flag.BACKFILLED)
    return flags
