"""What reads return: latest values, points of history, ingest counts with their progress."""

from dataclasses import dataclass

from telemetry.model.ingest import Counts


@dataclass(frozen=True, slots=True)
class LatestReading:
    """The newest reading of a signal by event time, as of and as known at the times of a read.

    Attributes:
        advanced_us: Source time that freshness counts from; see `Readings.advanced_us`.
        flags: `Flag` bits.
    """

    value: float
    status: int
    observed_us: int
    arrived_us: int
    advanced_us: int
    recorded_us: int
    flags: int


@dataclass(frozen=True, slots=True)
class Point:
    """One reading, or an aggregate over `[at, at + step)`.

    Attributes:
        at_us: Source time, or start of the step, UTC microseconds.
        mean: In the stored unit; over readings that are not Bad where there are any.
        count: Readings; each key once, in its newest version known at the time of the read.
        good: Those of them that are Good.
        status: Worst OPC UA status code among them.
    """

    at_us: int
    mean: float
    minimum: float
    maximum: float
    count: int
    good: int
    status: int


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """Counts of one tenant, and how far the raw stream is worked off."""

    counts: Counts
    processed_sequence: int
    received_sequence: int
