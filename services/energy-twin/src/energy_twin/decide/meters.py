"""What meters counted per local day, through days of 23 and 25 hours."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from energy_twin.model.series import HOLD_CADENCES, Role, Series, SignalUse, Times, Values
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import to_us

MAX_DAYS: Final = 400


class IntervalStamp(StrEnum):
    """At which end of its interval a meter stamps interval energy."""

    START = "START"
    END = "END"


@dataclass(frozen=True, slots=True)
class LocalDay:
    """One day as the clock on the wall shows it."""

    date: str
    from_us: int
    to_us: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a meter counted in one day.

    Attributes:
        covered_s: Time that its readings account for.
        uncertain: Whether one of them was Uncertain, or a register ran backwards.
    """

    day: LocalDay
    energy_j: float
    covered_s: float
    uncertain: bool


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name; empty is UTC.

    Raises:
        InvalidInputError: There is no such zone.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(
            f"time zone {name[:40]!r} is unknown", hint="give an IANA name such as Europe/London"
        ) from error


def local_days(first: date, last: date, zone: ZoneInfo) -> list[LocalDay]:
    """Return the days from `first` to `last`, both included; each is 23, 24 or 25 hours long.

    Raises:
        InvalidInputError: There are more than MAX_DAYS, or none.
    """
    count = (last - first).days + 1
    if not 1 <= count <= MAX_DAYS:
        raise InvalidInputError(f"ask for 1 to {MAX_DAYS} days, got {count}")
    return list(_days(first, count, zone))


def _days(first: date, count: int, zone: ZoneInfo) -> Iterator[LocalDay]:
    try:
        for n in range(count):
            day = first + timedelta(days=n)
            yield LocalDay(
                day.isoformat(), _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
            )
    except OverflowError as error:
        raise InvalidInputError("a date lies outside the calendar") from error


def _midnight(day: date, zone: ZoneInfo) -> int:
    return to_us(datetime.combine(day, time(), tzinfo=zone).astimezone(UTC))


def count_days(
    use: SignalUse, series: Series, days: list[LocalDay], stamp: IntervalStamp
) -> list[Counted]:
    """Return what a meter counted in each day; the sum over days is what it counted in all.

    A register's increments, and the energy of intervals, are spread evenly over the time that they
    account for, so that one which crosses midnight is shared by both days.
    """
    starts, ends, energy, doubtful = _intervals(use, series, stamp)
    counted = []
    hold = HOLD_CADENCES * use.cadence_s * 1e6
    for day in days:
        inside = np.clip(np.minimum(ends, day.to_us) - np.maximum(starts, day.from_us), 0, None)
        share = inside / np.maximum(ends - starts, 1)
        known = inside[(ends - starts) <= hold]
        counted.append(
            Counted(
                day=day,
                energy_j=float(share @ energy),
                covered_s=float(known.sum()) / 1e6,
                uncertain=bool((doubtful & (inside > 0)).any()),
            )
        )
    return counted


def _intervals(
    use: SignalUse, series: Series, stamp: IntervalStamp
) -> tuple[Times, Times, Values, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return start, end and energy of what each reading accounts for, and whether to doubt it."""
    times = series.times_us
    if use.role is Role.METER_COUNTER:
        steps = np.diff(series.values)
        reset = steps < 0
        energy = np.where(reset, np.maximum(series.values[1:], 0.0), steps)
        doubtful = reset | (series.grades[1:] > 0) | (series.grades[:-1] > 0)
        return times[:-1], times[1:], energy, doubtful
    length = round(use.cadence_s * 1e6)
    if stamp is IntervalStamp.START:
        ends = times + length
        ends[:-1] = np.minimum(ends[:-1], times[1:])
        return times, ends, series.values, series.grades > 0
    starts = times - length
    starts[1:] = np.maximum(starts[1:], times[:-1])
    return starts, times, series.values, series.grades > 0
