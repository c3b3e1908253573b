"""Readings in columns: one numpy array per field, equally long. Rows exist only at the doors."""

from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from telemetry.model.signal import ForeignName, Signal

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

NO_SEQUENCE: Final = -1
MAX_INDEX: Final = 2**20
"""Most readings of one raw message: a batch is refused at the door beyond it."""


class Flag(IntFlag):
    """How a reading came, as published in `flags_u8`."""

    BACKFILLED = 1
    CORRECTION = 2
    LATE = 4


@dataclass(frozen=True, slots=True)
class RawReadings:
    """Readings as sources name them; every array has one element per reading.

    Attributes:
        names: Dictionary of foreign names.
        name_ix: Index into `names`.
        observed_us: Source time, UTC microseconds; zone-less stamps are held as if UTC.
        zoneless: Whether the stamp came without a zone.
        value: In the source's unit.
        source_status: OPC UA status code that the source stated.
        sequence: The source's sequence number, -1 when it has none.
        arrived_us: Plant time at the door, UTC microseconds.
        raw_seq: Sequence of the raw message in its stream.
        raw_ix: Place of the reading in that message.
        replay_ix: Index into the replayed quarantine rows of the batch; -1 for a new reading.
    """

    names: tuple[ForeignName, ...]
    name_ix: Indices
    observed_us: Ints
    zoneless: Bools
    value: Floats
    source_status: Codes
    sequence: Ints
    arrived_us: Ints
    raw_seq: Ints
    raw_ix: Ints
    replay_ix: Ints

    def __len__(self) -> int:
        return len(self.name_ix)

    def take(self, index: Any) -> Self:  # noqa: ANN401 - a mask, a slice or positions
        """Return the readings at `index`, the dictionary unchanged."""
        columns = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "names"}
        return type(self)(names=self.names, **columns)


@dataclass(frozen=True, slots=True)
class Readings:
    """Resolved readings in SI units; every array has one element per reading.

    Attributes:
        signals: Dictionary of the definitions that apply.
        signal_ix: Index into `signals`.
        status: OPC UA status code after the checks.
        flags: `Flag` bits.
        advanced_us: Source time of the last reading whose source moved on: freshness counts from
            it. Equals `observed_us` unless the source repeats itself under new stamps.
        repeats: How often the value has been the same in a row, this one not counted.
        recorded_us: Wall time of the store, UTC microseconds; 0 until it is assigned.
    """

    signals: tuple[Signal, ...]
    signal_ix: Indices
    observed_us: Ints
    value: Floats
    status: Codes
    source_status: Codes
    flags: Bytes
    sequence: Ints
    arrived_us: Ints
    advanced_us: Ints
    repeats: Ints
    recorded_us: Ints
    raw_seq: Ints
    raw_ix: Ints
    replay_ix: Ints

    def __len__(self) -> int:
        return len(self.signal_ix)

    def take(self, index: Any) -> Self:  # noqa: ANN401 - a mask, a slice or positions
        """Return the readings at `index`, the dictionary unchanged."""
        columns = {
            f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "signals"
        }
        return type(self)(signals=self.signals, **columns)


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest stored reading of a signal: what in-order checks continue from.

    Attributes:
        observed_us: The watermark, by event time.
        value: In the stored unit.
        sequence: The source's sequence number, -1 when it has none.
        advanced_us: See `Readings.advanced_us`.
        repeats: See `Readings.repeats`.
    """

    observed_us: int
    value: float
    sequence: int
    advanced_us: int
    repeats: int


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """What the store already holds for some keys; arrays of one length.

    `signal_ix` points into the signals that were asked about.
    """

    signal_ix: Indices
    observed_us: Ints
    value: Floats
    source_status: Codes
    raw_seq: Ints
    raw_ix: Ints

    def __len__(self) -> int:
        return len(self.signal_ix)

    @classmethod
    def none(cls) -> Self:
        """Return the answer of an empty store."""
        return cls(
            signal_ix=np.empty(0, np.int64),
            observed_us=np.empty(0, np.int64),
            value=np.empty(0, np.float64),
            source_status=np.empty(0, np.uint32),
            raw_seq=np.empty(0, np.int64),
            raw_ix=np.empty(0, np.int64),
        )
