"""What governance needs for events that a consumer could not take."""

from typing import Protocol

from governance.model.quarantine import Quarantined, QuarantinePage
from twinmesh_sdk.core.ids import Tenant


class QuarantineBox(Protocol):
    """Where consumers put events aside, and the way back to them."""

    async def page(
        self, tenant: Tenant, *, service: str, type: str, after: int, limit: int
    ) -> QuarantinePage:
        """Return a tenant's events with an id above `after`, without payloads.

        Args:
            service: Only this service's; empty for all.
            type: Only this event type; empty for all.

        Raises:
            UnavailableError: The bus does not answer.
        """
        ...

    async def get(self, tenant: Tenant, id: int) -> Quarantined:
        """Return one event whole.

        Raises:
            NotFoundError: The tenant has none of this id.
        """
        ...

    async def send_back(self, event: Quarantined) -> None:
        """Deliver an event to the consumer that put it aside; repeating it changes nothing."""
        ...

    async def remove(self, id: int) -> None:
        """Forget an event; silent when it is gone."""
        ...
