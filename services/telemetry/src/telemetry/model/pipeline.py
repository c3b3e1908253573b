"""The way of a reading through the pipeline, hop by hop, and alerts about it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from twinmesh_sdk.core.times import to_us


class Hop(StrEnum):
    """Stations of a reading, in order."""

    SOURCE = "SOURCE"  # the device sampled it
    DOOR = "DOOR"  # it reached the MQTT or HTTP door
    STREAM = "STREAM"  # the raw stream holds it
    RESOLVE = "RESOLVE"  # its name is a known signal and it passed the checks
    STORE = "STORE"  # the store holds it
    PUBLISH = "PUBLISH"  # the twins can read it


@dataclass(frozen=True, slots=True)
class Movement:
    """When each hop last moved data of one source, wall time, UTC microseconds; 0 for never."""

    tenant: str
    source: str
    door_us: int = 0
    stream_us: int = 0
    resolve_us: int = 0
    store_us: int = 0
    publish_us: int = 0

    def latest(self, other: "Movement") -> "Movement":
        """Return, hop by hop, the later of two."""
        return replace(
            self,
            door_us=max(self.door_us, other.door_us),
            stream_us=max(self.stream_us, other.stream_us),
            resolve_us=max(self.resolve_us, other.resolve_us),
            store_us=max(self.store_us, other.store_us),
            publish_us=max(self.publish_us, other.publish_us),
        )


@dataclass(frozen=True, slots=True)
class PipelineAlert:
    """A source with a declared cadence stopped delivering; open while `recovered_at` is None.

    Attributes:
        last_moving_hop: The last hop that moved the missing data.
        last_moved_at: Plant time when data of this source last came out at the end.
        version: Counts the alerts of this source: its aggregate version.
    """

    alert_id: str
    tenant: str
    source: str
    last_moving_hop: Hop
    last_moved_at: datetime
    detected_at: datetime
    signal_ids: tuple[str, ...] = ()
    recovered_at: datetime | None = None
    version: int = 1

    @property
    def cursor(self) -> str:
        """Its place in the list of alerts, newest first."""
        return f"{to_us(self.detected_at)}:{self.alert_id}"

    def recovered(self, at: datetime) -> Self:
        """Return the alert as it stands once data came out at the end again."""
        return replace(self, recovered_at=at, version=self.version + 1)
