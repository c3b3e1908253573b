"""Is a source silent, and where did its data last move?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.model.pipeline import Hop, Movement
from telemetry.model.signal import Signal

US: Final = 1_000_000
SILENT_CADENCES: Final = 3.0
LEAST_SILENCE_S: Final = 5.0
"""Below it, silence cannot be told from a pause of the pipeline's own batches."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits inside the pipeline, as seen from outside the ingest.

    Attributes:
        waiting: Messages in the raw stream behind the cursor.
        head_us: Wall time when the cursor last moved, UTC microseconds.
    """

    waiting: int
    head_us: int


def silence_limit_us(signals: Sequence[Signal], speed: float) -> int | None:
    """Return how long a source may be silent, wall microseconds; None when it declares no cadence.

    Three of its shortest cadences, and never less than the clock resolves.
    """
    cadences = [s.cadence_s for s in signals if s.cadence_s > 0]
    if not cadences:
        return None
    return round(max(SILENT_CADENCES * min(cadences) / speed, LEAST_SILENCE_S) * US)


def last_moving_hop(
    movement: Movement, *, now_us: int, limit_us: int, backlog: Backlog
) -> Hop | None:
    """Return the last hop that the missing data reached; None while data comes out at the end.

    A hop moves when it passed data on within the limit. Data that stop short of the end were last
    moved by the hop before the first one that stands still; a source from which nothing comes at
    all moved them last itself.

    Args:
        movement: When each hop last moved data of the source, wall time.
        now_us: Wall time.
        limit_us: Silence that is still normal.
        backlog: What waits in the raw stream.
    """
    if now_us - movement.publish_us <= limit_us:
        return None
    stations = (
        (Hop.STORE, movement.store_us),
        (Hop.RESOLVE, movement.resolve_us),
        (Hop.STREAM, movement.stream_us),
        (Hop.DOOR, movement.door_us),
    )
    for hop, moved_us in stations:
        if now_us - moved_us <= limit_us:
            return hop
    if backlog.waiting and now_us - backlog.head_us > limit_us:
        return Hop.STREAM
    return Hop.SOURCE
