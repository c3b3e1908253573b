"""What governance needs to know who uses what."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from governance.model.changes import Deprecation, UsedPartDeprecated
from governance.model.consumption import ClientOwner, Report, Use
from governance.model.contracts import Mesh


class ConsumptionSession(Protocol):
    """Reports being counted: a transaction beside the exclusive one, so that it never waits."""

    async def first_time(self, report: Report) -> bool:
        """Remember a report; False when it was counted before."""
        ...

    async def add_uses(self, tenant: str, uses: Sequence[Use]) -> list[Use]:
        """Add uses to those that are known; returns those that were never seen before."""
        ...

    async def deprecated(self, coordinates: Collection[str]) -> list[Deprecation]:
        """Return which of these parts of contracts are deprecated."""
        ...

    async def mesh(self) -> Mesh:
        """Return all registered contracts and the supergraph in force."""
        ...

    async def owners(self) -> list[ClientOwner]:
        """Return whom to ask about clients that are no services."""
        ...

    async def announce(self, facts: Sequence[UsedPartDeprecated]) -> None:
        """Save facts beside the uses that they announce."""
        ...

    async def forget(
        self, *, uses_before: datetime, reports_before: datetime, at_most: int, limit: int
    ) -> int:
        """Forget uses last seen, and reports received, before, and the oldest uses above a number.

        Returns:
            How many uses went; at most `limit` for each reason.
        """
        ...


class UseSession(Protocol):
    """Who uses what, read in a transaction."""

    async def uses(self, *, since: datetime, service: str = "", tenant: str = "") -> list[Use]:
        """Return what was used since, by all tenants' clients or those of one.

        Args:
            since: Last seen then or later.
            service: Only of this service, or where the service is unknown.
            tenant: Only by this tenant's clients.

        Raises:
            LimitExceededError: More than can be judged.
        """
        ...

    async def uses_by_tenant(self, *, since: datetime, service: str) -> dict[str, list[Use]]:
        """Return what each tenant's clients used of a service's contract since."""
        ...

    async def observed_since(self) -> datetime | None:
        """Return when the first use was seen; None before."""
        ...

    async def owners(self) -> list[ClientOwner]:
        """Return whom to ask about clients that are no services."""
        ...

    async def save_owner(self, owner: ClientOwner) -> None:
        """Insert or replace a client's owner."""
        ...
