"""Messages of the raw stream, and a block of them decoded into columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from telemetry.model.quarantine import QuarantineRow
from telemetry.model.reading import RawReadings


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as the stream holds it.

    Attributes:
        seq: Its sequence in the stream.
        stamped_us: Wall time when the stream took it in, UTC microseconds.
        reply: Where it is acknowledged.
    """

    subject: str
    data: bytes
    seq: int
    stamped_us: int
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """What goes into quarantine: the bytes as they came, or an extract of a batch."""

    data: bytes
    format: str
    headers: dict[str, str]


class Payloads(Protocol):
    """Finds the payload again behind the readings of a block, when one has to be kept."""

    def is_batch(self, position: int) -> bool:
        """Tell whether the reading came in a batch."""
        ...

    def of(self, positions: Sequence[int]) -> Payload:
        """Return the payload of these readings: of one, or of several of one message."""
        ...


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Consecutive messages of the raw stream, decoded.

    Attributes:
        epoch: Incarnation of the stream.
        first_seq: Sequence of the first message.
        last_seq: Sequence of the last one.
        refused: What could not be decoded; already quarantine rows.
        replays: Quarantine rows that the block replays; readings point at them.
        stamped_us: Wall time of the newest message, UTC microseconds.
        speeds: Plant seconds per wall second, by tenant; 1 where none is given.
    """

    epoch: int
    first_seq: int
    last_seq: int
    readings: RawReadings
    refused: tuple[QuarantineRow, ...]
    replays: tuple[QuarantineRow, ...]
    payloads: Payloads
    stamped_us: int = 0
    traceparents: tuple[str, ...] = ()
    speeds: Mapping[str, float] = field(default_factory=dict)
