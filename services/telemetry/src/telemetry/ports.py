"""What telemetry needs from outside, in its own words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from telemetry.decide.resolve import Resolution, Wanted
from telemetry.model.history import LatestReading, Point
from telemetry.model.ingest import BatchOutcome, Counts, Cursor
from telemetry.model.pipeline import Movement, PipelineAlert
from telemetry.model.quarantine import QuarantineRow
from telemetry.model.reading import Readings, StoredKeys, Tail
from telemetry.model.signal import ForeignName, Signal
from telemetry.model.verdict import VerdictChange, VerdictState


@dataclass(frozen=True, slots=True)
class Span:
    """A signal and a span of source times, both ends included."""

    signal: Signal
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and where the next ones begin; empty at the end."""

    rows: tuple[QuarantineRow, ...]
    next_token: str
    total: int


class ReadingStore(Protocol):
    """Readings for ever. Every method raises `UnavailableError` when the store does not answer."""

    async def tails(self, signals: Sequence[Signal]) -> dict[str, Tail]:
        """Return the newest reading of each signal by event time, by signal id."""
        ...

    async def all_tails(self) -> dict[tuple[str, str], Tail]:
        """Return the newest reading of every signal, by tenant and signal id."""
        ...

    async def stored(self, spans: Sequence[Span], *, epoch: int) -> StoredKeys:
        """Return every version stored in these spans; `signal_ix` is the place in `spans`.

        `raw_seq` is -1 for rows that came by another incarnation of the stream than `epoch`.
        """
        ...

    async def insert(self, readings: Readings, *, epoch: int) -> None:
        """Store readings. Repeating the call with the same readings changes nothing."""
        ...

    async def latest(
        self, signals: Sequence[Signal], *, as_of_us: int, known_at_us: int
    ) -> dict[str, LatestReading]:
        """Return the newest readings by event time, by signal id; a constant number of queries."""
        ...

    async def history(
        self, signal: Signal, *, start_us: int, end_us: int, known_at_us: int, limit: int
    ) -> list[Point]:
        """Return readings in `[start, end)`, oldest first, one per key, at most `limit`."""
        ...


class Retained(Protocol):
    """What keeps rows for a time."""

    async def forget(self, *, before_us: int) -> int:
        """Forget what was recorded before a wall time; return how many rows that were.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...


class RollupStore(Protocol):
    """Aggregates; hours are made in advance, and again whenever readings touch them."""

    async def aggregates(
        self,
        signal: Signal,
        *,
        start_us: int,
        end_us: int,
        step_us: int,
        known_at_us: int,
        mark_us: int,
        limit: int,
    ) -> list[Point]:
        """Return aggregates of the steps that have readings, aligned to the Unix epoch.

        Args:
            signal: Which signal.
            start_us: First moment, included; aligned to the step.
            end_us: Last moment, excluded.
            step_us: Width of a step.
            known_at_us: Readings recorded later do not count.
            mark_us: Up to which `recorded_at` the hours are made.
            limit: Most points to return.
        """
        ...

    async def refresh(self, *, since_recorded_us: int, until_recorded_us: int) -> int:
        """Make the hours again that readings recorded in `(since, until]` fall in.

        Returns:
            How many hours were made. Repeating the call yields the same aggregates.
        """
        ...


class SignalDirectory(Protocol):
    """Who is who: the registry, remembered."""

    async def resolve(self, wanted: Sequence[Wanted]) -> list[Resolution]:
        """Return what is known of each name, in the order asked.

        Raises:
            UnavailableError: The registry has to be asked and does not answer.
        """
        ...

    async def definitions(self, tenant: str, signal_ids: Sequence[str]) -> dict[str, Signal]:
        """Return the definitions of a tenant's signals; those of others are left out."""
        ...

    async def signals_of(self, tenant: str, asset_ids: Sequence[str]) -> list[Signal]:
        """Return the definitions of all signals of a tenant's assets."""
        ...

    def forget(self, tenant: str, source: str = "") -> None:
        """Ask the registry again next time about a tenant's source, or all of its sources."""
        ...


class TruthStream(Protocol):
    """The stream that twins read."""

    async def publish(self, readings: Readings, *, epoch: int) -> int:
        """Publish stored readings and wait until the stream has them; return the messages sent.

        Raises:
            UnavailableError: The stream did not confirm; the same call may be repeated.
        """
        ...


class Ledger(Protocol):
    """How far the raw stream is worked off, and what became of it. One transaction per batch."""

    async def cursor(self, stream: str, epoch: int) -> Cursor:
        """Return where to go on; at the start for a stream, or an incarnation, never seen."""
        ...

    async def commit(self, outcome: BatchOutcome) -> None:
        """Write the outcome down.

        Raises:
            ConflictError: The cursor stands elsewhere: another worker was here.
        """
        ...

    async def counts(self, tenant: str) -> Counts:
        """Return what became of a tenant's readings."""
        ...

    async def processed(self, stream: str) -> Cursor | None:
        """Return the cursor of the stream's newest incarnation; None when nothing was done."""
        ...

    async def rollup_mark(self) -> int:
        """Return up to which `recorded_at` roll-ups are made."""
        ...

    async def set_rollup_mark(self, recorded_us: int) -> None:
        """Remember it."""
        ...

    async def seen_signals(self) -> list[Signal]:
        """Return the definitions that readings were stored under, newest per signal."""
        ...

    async def movements(self) -> list[Movement]:
        """Return when each source's data last moved."""
        ...


class QuarantineStore(Protocol):
    """Readings set aside, of one tenant at a time."""

    async def page(self, tenant: str, *, reason: str, after: str, limit: int) -> Page:
        """Return quarantined rows, oldest first. `total` counts readings, not rows."""
        ...

    async def waiting(self, tenant: str, ids: Sequence[str]) -> list[QuarantineRow]:
        """Return those of the ids that are not replayed yet."""
        ...

    async def mark_replaying(
        self, tenant: str, *, ids: Sequence[str], reason: str, limit: int
    ) -> list[QuarantineRow]:
        """Mark rows, by id or all of a reason, as on their way back; return those marked."""
        ...

    async def mark_name(self, name: ForeignName, limit: int) -> list[QuarantineRow]:
        """Mark rows that wait for a name to be defined; return those marked."""
        ...

    async def stranded(self, older_than: datetime, limit: int) -> list[QuarantineRow]:
        """Return rows marked before `older_than` whose replay has not come through."""
        ...

    async def unresolved_names(self, limit: int) -> list[tuple[ForeignName, int]]:
        """Return names that rows wait for, with a source time at which each was used."""
        ...


class RawStream(Protocol):
    """The way into the raw stream."""

    async def put(
        self, subject: str, data: bytes, *, message_id: str, headers: dict[str, str]
    ) -> bool:
        """Publish and wait until the stream has it; False when it had the same id already.

        Raises:
            UnavailableError: The stream did not confirm.
        """
        ...

    async def last_sequence(self) -> int:
        """Return the sequence of the newest message.

        Raises:
            UnavailableError: The stream does not answer.
        """
        ...


class VerdictStore(Protocol):
    """Verdicts as last announced."""

    async def all(self) -> list[VerdictState]:
        """Return every verdict kept."""
        ...

    async def save(self, changes: Sequence[VerdictChange]) -> None:
        """Save verdicts, and in the same transaction the events that announce them.

        Raises:
            ConflictError: One was changed meanwhile; nothing is saved.
        """
        ...


class AlertStore(Protocol):
    """Pipeline alerts."""

    async def open_alerts(self) -> list[PipelineAlert]:
        """Return the alerts that are open, of every tenant."""
        ...

    async def page(self, tenant: str, *, after: str, limit: int) -> list[PipelineAlert]:
        """Return a tenant's alerts, newest first."""
        ...

    async def save(self, alert: PipelineAlert) -> None:
        """Save an alert, and in the same transaction the event that announces it."""
        ...

    async def last_version(self, tenant: str, source: str) -> int:
        """Return the number of changes that alerts about a source had so far."""
        ...
