"""The only way to know the time."""

from datetime import datetime
from typing import Protocol

from twinmesh_sdk.core.ids import Tenant


class Clock(Protocol):
    """Wall time and plant time. Nothing else reads the time."""

    def wall_now(self) -> datetime:
        """Return the wall time, UTC."""
        ...

    def plant_now(self, tenant: Tenant) -> datetime:
        """Return the plant time of a tenant, UTC; wall time where it has no plant clock."""
        ...

    def speed(self, tenant: Tenant) -> float:
        """Return plant seconds per wall second."""
        ...
