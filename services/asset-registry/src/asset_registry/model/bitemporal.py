"""Two time axes: valid (true in the plant), recorded (known to us); int64 UTC microseconds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Self, TypeVar

from asset_registry.model.facts import Fact
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import MIN_TIME, OPEN_US, ReadTime, to_us

F_co = TypeVar("F_co", bound=Fact, covariant=True)

_MIN_US = to_us(MIN_TIME)


@dataclass(frozen=True, slots=True)
class Interval:
    """When a fact held, and when we held it true. Starts are included, ends are not.

    Attributes:
        valid_from_us: Plant time, UTC microseconds.
        valid_to_us: Plant time; the largest int64 means open.
        recorded_from_us: Wall time at which it became known.
        recorded_to_us: Wall time at which it was corrected; the largest int64 means it still holds.
    """

    valid_from_us: int
    valid_to_us: int
    recorded_from_us: int
    recorded_to_us: int = OPEN_US

    def __post_init__(self) -> None:
        """Refuse empty and inverted intervals."""
        if not _MIN_US <= self.valid_from_us < self.valid_to_us <= OPEN_US:
            raise InvalidInputError("a fact must be valid from a time to a later one")
        if not self.recorded_from_us < self.recorded_to_us <= OPEN_US:
            raise InvalidInputError("a fact must be recorded from a time to a later one")

    @property
    def current(self) -> bool:
        """Whether this is what we hold true now."""
        return self.recorded_to_us == OPEN_US

    def overlaps(self, other: Self) -> bool:
        """Tell whether both were held true at one time about one time."""
        return (
            self.valid_from_us < other.valid_to_us
            and other.valid_from_us < self.valid_to_us
            and self.recorded_from_us < other.recorded_to_us
            and other.recorded_from_us < self.recorded_to_us
        )


@dataclass(frozen=True, slots=True)
class Window:
    """What a read is about: a stretch of plant time, as known at a wall time.

    Attributes:
        from_us: Plant time, included.
        to_us: Plant time, excluded; one microsecond later for a moment.
        known_at_us: Wall time of the knowledge.
    """

    from_us: int
    to_us: int
    known_at_us: int = OPEN_US - 1

    def __post_init__(self) -> None:
        """Refuse an empty window."""
        if not self.from_us < self.to_us:
            raise InvalidInputError("a window must end after it starts")

    @classmethod
    def of(cls, read_time: ReadTime) -> Self:
        """Return the moment that a request asks about."""
        return cls(read_time.as_of_us, read_time.as_of_us + 1, read_time.known_at_us)

    @classmethod
    def between(cls, start: datetime, end: datetime, read_time: ReadTime) -> Self:
        """Return the stretch from `start` to `end`, as known at the time of the request."""
        return cls(to_us(start), to_us(end), read_time.known_at_us)

    def shows(self, interval: Interval) -> bool:
        """Tell whether a fact with this interval belongs to the answer."""
        return (
            interval.valid_from_us < self.to_us
            and self.from_us < interval.valid_to_us
            and interval.recorded_from_us <= self.known_at_us < interval.recorded_to_us
        )


@dataclass(frozen=True, slots=True)
class Statement(Generic[F_co]):
    """What a caller says holds, and from when.

    Attributes:
        valid_from_us: Plant time, UTC microseconds.
        valid_to_us: None: until whatever was said about a later time; open when nothing was.
    """

    fact: F_co
    valid_from_us: int
    valid_to_us: int | None = None

    def __post_init__(self) -> None:
        """Refuse an empty or inverted period."""
        if self.valid_from_us < _MIN_US:
            raise InvalidInputError("valid_from lies before the year 1900")
        if self.valid_to_us is not None and self.valid_to_us <= self.valid_from_us:
            raise InvalidInputError("valid_to must lie after valid_from")


@dataclass(frozen=True, slots=True)
class Record(Generic[F_co]):
    """One immutable version of a fact; a correction closes `recorded_to` and adds another."""

    version_id: str
    fact: F_co
    interval: Interval
    recorded_by: str


@dataclass(frozen=True, slots=True)
class Recorded(Generic[F_co]):
    """The statement is known now.

    Attributes:
        superseded: What was held true about its time before.
    """

    record: Record[F_co]
    superseded: tuple[Record[F_co], ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged(Generic[F_co]):
    """The statement repeats what was known: `record` already says it."""

    record: Record[F_co]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A fact that others should hear: what was recorded, and what it replaced.

    Attributes:
        aggregate_id: The anchor whose version numbers this change.
        superseded_ids: Ids of the things whose validity was cut short or replaced.
    """

    record: Record[Fact]
    aggregate_id: str
    superseded_ids: tuple[str, ...] = ()
