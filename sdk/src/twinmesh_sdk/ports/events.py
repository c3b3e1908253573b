"""Those who handle events."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from twinmesh_sdk.core.events import Envelope


@runtime_checkable
class EventHandler(Protocol):
    """Handles events of the types it names; says in its docstring why repetition is harmless.

    Returning acknowledges. A `TwinError` is retried or quarantined by its code, anything else is
    retried a few times and then quarantined. While it runs, `current_tenant()` is the event's
    tenant, `current_read_time()` is now, and peers are called for that tenant.
    """

    @property
    def event_types(self) -> Sequence[str]:
        """Return the event types it wants, for example `maintenance.work_item.opened.v1`."""
        ...

    async def __call__(self, event: Envelope) -> None:
        """Handle one event."""
        ...
