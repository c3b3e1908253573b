"""What governance needs to hold charters against reality."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from governance.model.reality import CharterTurned, Measure, Reality, Report, Told
from twinmesh_sdk.core.ids import Tenant


class RealityStore(Protocol):
    """Keeps what was measured, and where promises stand."""

    async def told(self, told: Told) -> bool:
        """Keep what telemetry says about a signal; False when something newer is known.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def reported(self, report: Report) -> None:
        """Keep what a service measured of itself; the newest replaces an earlier one."""
        ...

    async def tenants(self) -> list[Tenant]:
        """Return the tenants of which anything is known."""
        ...

    async def shares(self, tenant: Tenant, now: datetime) -> Mapping[str, Measure]:
        """Return, by decision, the share of signal time within budget in the window before `now`.

        The window's first hour counts as a whole.

        Args:
            now: Plant time.
        """
        ...

    async def coverage(self, tenant: Tenant) -> Mapping[str, Measure]:
        """Return, by decision, the share of watched signals that are within budget."""
        ...

    async def reports(self, tenant: Tenant, since: datetime) -> list[Report]:
        """Return what services measured of themselves, reported since a wall time."""
        ...

    async def standings(self, tenant: Tenant) -> list[Reality]:
        """Return where every promise stands."""
        ...

    async def save(
        self, tenant: Tenant, standings: Sequence[Reality], facts: Sequence[CharterTurned]
    ) -> None:
        """Make these the tenant's standings, and announce what turned, in one transaction.

        Raises:
            ConflictError: Another process saved standings meanwhile.
        """
        ...


class EventCounter(Protocol):
    """Counts published events."""

    async def counts(self, types: Sequence[str], since: datetime) -> Mapping[Tenant, int]:
        """Return how many events of these types each tenant has had since a wall time.

        Raises:
            UnavailableError: The bus does not answer.
        """
        ...
