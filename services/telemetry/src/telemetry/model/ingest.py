"""What became of every reading received, and how far the raw stream is worked off."""

from dataclasses import dataclass, replace
from typing import Self

from telemetry.model.pipeline import Movement
from telemetry.model.quarantine import QuarantineRow
from telemetry.model.signal import Signal
from twinmesh_sdk.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Counts:
    """Received = stored + duplicate + quarantined, always."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that lose or invent a reading."""
        if self.received != self.stored + self.duplicate + self.quarantined:
            raise InvalidInputError(f"counts do not add up: {self}")

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.received + other.received,
            self.stored + other.stored,
            self.duplicate + other.duplicate,
            self.quarantined + other.quarantined,
        )


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a raw stream is worked off: everything up to `last_seq`, nothing beyond.

    Attributes:
        epoch: Incarnation of the stream, its creation in Unix seconds; a recreated stream counts
            from one again, and its readings must not pass for earlier ones.
        recorded_us: Largest `recorded_at` handed out.
    """

    epoch: int
    last_seq: int = 0
    recorded_us: int = 0

    def at(self, *, last_seq: int, recorded_us: int) -> Self:
        """Return the cursor after a batch."""
        return replace(self, last_seq=last_seq, recorded_us=recorded_us)


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """Everything that is written down, in one transaction, when a batch is done.

    Attributes:
        stream: Name of the raw stream.
        before: Where the cursor must stand; elsewhere, somebody else works on the stream.
        counts: What to add, by tenant; a replay adds to `stored` what it takes from `quarantined`.
        quarantine: Rows to add; a row that is there already stays as it is.
        replayed: Ids of rows that were put through again.
        signals: Definitions met in the batch.
        movements: When each source's data moved.
    """

    stream: str
    before: Cursor
    after: Cursor
    counts: dict[str, Counts]
    quarantine: tuple[QuarantineRow, ...] = ()
    replayed: tuple[str, ...] = ()
    signals: tuple[Signal, ...] = ()
    movements: tuple[Movement, ...] = ()
