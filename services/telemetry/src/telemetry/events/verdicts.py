"""Telemetry's own announcements of verdicts, for who listens at the moment."""

from collections.abc import AsyncGenerator

from telemetry.model.verdict import ToldVerdict
from telemetry.wire.events import told_verdict
from twinmesh_sdk.adapters.nats import EventFeed
from twinmesh_sdk.core.ids import Tenant


class VerdictChanges:
    """Tells which verdicts changed. A repeated event tells the same change again."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    async def __call__(self, tenant: Tenant) -> AsyncGenerator[ToldVerdict, None]:
        """Yield each change of a tenant's verdicts, from now on."""
        async for event in self._feed.listen(tenant):
            yield told_verdict(event.data)
