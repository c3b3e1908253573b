"""The clock: wall time from the machine, plant time from the KV bucket `plant-clock`."""

import json
import logging
from datetime import UTC, datetime
from typing import Final

from twinmesh_sdk.adapters.nats.mirror import KvMirror
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import WALL, PlantTime, from_us, to_us

log = logging.getLogger(__name__)

BUCKET: Final = "plant-clock"


class WallClock:
    """Plant time is wall time, everywhere: for what knows no tenant."""

    def wall_now(self) -> datetime:
        """See `Clock.wall_now`."""
        return datetime.now(UTC)  # noqa: TID251 - this is the Clock adapter

    def plant_now(self, tenant: Tenant) -> datetime:
        """See `Clock.plant_now`."""
        del tenant
        return self.wall_now()

    def speed(self, tenant: Tenant) -> float:
        """See `Clock.speed`."""
        del tenant
        return 1.0


class PlantClock(WallClock):
    """Follows the plant clock of each tenant as the replayer writes it; wall time without one."""

    def __init__(self, bucket: KvMirror) -> None:
        self._bucket = bucket
        self._read: dict[str, tuple[bytes, PlantTime]] = {}

    def plant_now(self, tenant: Tenant) -> datetime:
        """See `Clock.plant_now`."""
        return from_us(self._time_of(tenant).at(to_us(self.wall_now())))

    def speed(self, tenant: Tenant) -> float:
        """See `Clock.speed`."""
        return self._time_of(tenant).speed

    def _time_of(self, tenant: Tenant) -> PlantTime:
        raw = self._bucket.get(tenant)
        if raw is None:
            return WALL
        read = self._read.get(tenant)
        if read is None or read[0] != raw:
            # An unreadable entry keeps the last readable one; only the replayer writes here.
            read = (raw, _parse(raw) or (read[1] if read else WALL))
            self._read[tenant] = read
        return read[1]


def encode(time: PlantTime) -> bytes:
    """Return the entry that sets a tenant's plant clock."""
    return json.dumps({"p0_us": time.p0_us, "speed": time.speed, "w0_us": time.w0_us}).encode()


def _parse(raw: bytes) -> PlantTime | None:
    try:
        value = json.loads(raw)
        return PlantTime(int(value["p0_us"]), float(value["speed"]), int(value["w0_us"]))
    except (ValueError, TypeError, KeyError, InvalidInputError):
        log.error("plant clock entry is unreadable", extra={"entry": repr(raw[:200])})
        return None
