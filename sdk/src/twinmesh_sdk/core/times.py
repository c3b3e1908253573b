"""Two clocks and two time axes. Plant time governs what is true, wall time what is recorded."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from twinmesh_sdk.core.errors import InvalidInputError

OPEN_US: Final = 2**63 - 1
"""An open upper bound, as stored: the largest int64."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MIN_TIME: Final = datetime(1900, 1, 1, tzinfo=UTC)
MAX_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970 UTC.

    Raises:
        InvalidInputError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise InvalidInputError("a time needs a zone")
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """Return the aware UTC time of microseconds since 1970; an open bound becomes MAX_TIME."""
    if us >= OPEN_US:
        return MAX_TIME
    return EPOCH + timedelta(microseconds=us)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time, to UTC.

    Raises:
        InvalidInputError: Not a time, without a zone, or outside the years 1900 to 9998.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise InvalidInputError(f"time {text[:40]!r} needs a zone, for example a final Z")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{text[:40]!r} is not an RFC 3339 time") from error
    if not MIN_TIME <= moment < MAX_TIME:
        raise InvalidInputError(f"time {text[:40]!r} is outside the years 1900 to 9998")
    return moment


def format_time(moment: datetime) -> str:
    """Write RFC 3339 in UTC with microseconds and a final Z; the inverse of `parse_time`."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Period:
    """A period that includes its start and excludes its end; `end` None is open."""

    start: datetime
    end: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse zone-less and inverted periods."""
        if self.start.tzinfo is None or (self.end is not None and self.end.tzinfo is None):
            raise InvalidInputError("a period needs times with zones")
        if self.end is not None and self.end < self.start:
            raise InvalidInputError("a period must not end before it starts")

    def contains(self, moment: datetime) -> bool:
        """Tell whether `moment` lies inside."""
        return self.start <= moment and (self.end is None or moment < self.end)

    def overlaps(self, other: "Period") -> bool:
        """Tell whether the two share a moment."""
        return (other.end is None or self.start < other.end) and (
            self.end is None or other.start < self.end
        )


@dataclass(frozen=True, slots=True)
class ReadTime:
    """The times a read is about, fixed once per request by the gateway.

    Attributes:
        now: Plant time of the request: ages and freshness count from it.
        as_of: Plant time whose truth is asked for (valid-time axis).
        known_at: Wall time of the knowledge asked for (recorded-time axis); None is all we know.
    """

    now: datetime
    as_of: datetime
    known_at: datetime | None = None

    def at(self, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Self:
        """Return these times, overridden by a field's own arguments."""
        return type(self)(
            now=self.now, as_of=as_of or self.as_of, known_at=known_at or self.known_at
        )

    @property
    def as_of_us(self) -> int:
        """`as_of` in UTC microseconds."""
        return to_us(self.as_of)

    @property
    def known_at_us(self) -> int:
        """`known_at` in UTC microseconds; one below the open bound when it is None."""
        return OPEN_US - 1 if self.known_at is None else to_us(self.known_at)


@dataclass(frozen=True, slots=True)
class PlantTime:
    """How plant time follows wall time: `plant = p0 + speed * (wall - w0)`."""

    p0_us: int
    speed: float
    w0_us: int

    def __post_init__(self) -> None:
        """Refuse a clock that stands still or runs backwards."""
        if not 0 < self.speed <= 3600:
            raise InvalidInputError(f"speed must be above 0 and at most 3600, got {self.speed}")

    def at(self, wall_us: int) -> int:
        """Return plant microseconds at a wall time."""
        return self.p0_us + round(self.speed * (wall_us - self.w0_us))


WALL: Final = PlantTime(p0_us=0, speed=1.0, w0_us=0)
"""Plant time is wall time: what holds when a tenant has no plant clock."""
