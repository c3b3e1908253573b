"""Calls of `twinmesh.governance.v1.QuarantineService`."""

from typing import Final

from governance.api_grpc.context import Context
from governance.model.quarantine import Quarantined
from governance.usecases.quarantine import AdministerQuarantine
from twinmesh.governance.v1 import quarantine_service_pb2 as pb
from twinmesh.governance.v1 import quarantine_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal

DEFAULT_PAGE: Final = 50


class QuarantineApi(pb_grpc.QuarantineServiceServicer):
    """Implements `twinmesh.governance.v1.QuarantineService`."""

    def __init__(self, quarantine: AdministerQuarantine) -> None:
        self._quarantine = quarantine

    async def ListQuarantine(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListQuarantineRequest, context: Context
    ) -> pb.ListQuarantineResponse:
        """See `AdministerQuarantine.page`."""
        del context
        page = await self._quarantine.page(
            current_principal(),
            service=request.service,
            type=request.event_type,
            after=request.after_id,
            limit=request.page_size or DEFAULT_PAGE,
        )
        return pb.ListQuarantineResponse(
            events=[_pb(event) for event in page.events], remaining=page.remaining
        )

    async def GetQuarantined(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetQuarantinedRequest, context: Context
    ) -> pb.GetQuarantinedResponse:
        """See `AdministerQuarantine.show`."""
        del context
        event = await self._quarantine.show(current_principal(), request.id)
        return pb.GetQuarantinedResponse(
            event=_pb(event), headers=dict(event.headers), payload=event.payload
        )

    async def ReplayQuarantined(  # noqa: N802 - name fixed by the proto
        self, request: pb.ReplayQuarantinedRequest, context: Context
    ) -> pb.ReplayQuarantinedResponse:
        """See `AdministerQuarantine.replay`."""
        del context
        count = await self._quarantine.replay(current_principal(), list(request.ids))
        return pb.ReplayQuarantinedResponse(replayed=count)

    async def DropQuarantined(  # noqa: N802 - name fixed by the proto
        self, request: pb.DropQuarantinedRequest, context: Context
    ) -> pb.DropQuarantinedResponse:
        """See `AdministerQuarantine.drop`."""
        del context
        count = await self._quarantine.drop(
            current_principal(), list(request.ids), reason=request.reason
        )
        return pb.DropQuarantinedResponse(dropped=count)


def _pb(event: Quarantined) -> pb.QuarantinedEvent:
    return pb.QuarantinedEvent(
        id=event.id,
        service=event.service,
        event_type=event.type,
        event_id=event.event_id,
        code=event.code,
        reason=event.reason,
        quarantined_at=event.at,
        deliveries=event.deliveries,
        digest=event.digest,
        size_bytes=event.size,
        whole=event.whole,
        dataschema=event.dataschema,
    )
