"""The twin's own announcements, for who listens at the moment."""

from collections.abc import AsyncGenerator
from typing import Final

from google.protobuf.message import DecodeError

from twinmesh.maintenance.v1 import events_pb2
from twinmesh_sdk.adapters.nats import EventFeed
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.ids import AssetId, Tenant

Message = (
    type[events_pb2.WorkItemOpened]
    | type[events_pb2.WorkItemClosed]
    | type[events_pb2.WorkItemSuperseded]
    | type[events_pb2.WorkItemWithdrawn]
)
MESSAGES: Final[dict[str, Message]] = {
    "maintenance.work_item.opened.v1": events_pb2.WorkItemOpened,
    "maintenance.work_item.closed.v1": events_pb2.WorkItemClosed,
    "maintenance.work_item.superseded.v1": events_pb2.WorkItemSuperseded,
    "maintenance.work_item.withdrawn.v1": events_pb2.WorkItemWithdrawn,
}


class WorkItemChanges:
    """Tells which work items changed. A repeated event only has an item looked up again."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed

    async def __call__(self, tenant: Tenant) -> AsyncGenerator[tuple[str, AssetId], None]:
        """Yield item and asset of each change of a tenant's work items, from now on."""
        async for event in self._feed.listen(tenant):
            try:
                message = MESSAGES[event.type].FromString(event.data)
            except DecodeError as error:
                raise UnavailableError("an announcement cannot be read") from error
            yield message.work_item.work_item_id, AssetId(event.subject)
