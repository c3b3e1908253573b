"""Time that a test sets."""

from datetime import UTC, datetime, timedelta
from typing import Final

from twinmesh_sdk.core.ids import Tenant

START: Final = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)


class SimulatedClock:
    """A `Clock` that moves when told to; plant time moves `speed` times as far as wall time."""

    def __init__(self, now: datetime = START, *, speed: float = 1.0) -> None:
        self._wall = now
        self._plant = now
        self._speed = speed

    def wall_now(self) -> datetime:
        """See `Clock.wall_now`."""
        return self._wall

    def plant_now(self, tenant: Tenant) -> datetime:
        """See `Clock.plant_now`; equal for all tenants."""
        del tenant
        return self._plant

    def speed(self, tenant: Tenant) -> float:
        """See `Clock.speed`; equal for all tenants."""
        del tenant
        return self._speed

    def advance(self, seconds: float) -> datetime:
        """Let wall seconds pass; returns the plant time then."""
        self._wall += timedelta(seconds=seconds)
        self._plant += timedelta(seconds=seconds * self._speed)
        return self._plant

    def set_plant(self, now: datetime) -> None:
        """Set the plant time."""
        self._plant = now
