"""Calls of `twinmesh.governance.v1.RealityService`."""

from governance.api_grpc.context import Context
from governance.usecases.reality import ReadReality, ReportMeasure
from governance.wire.reality import reality_to_pb
from twinmesh.governance.v1 import reality_service_pb2 as pb
from twinmesh.governance.v1 import reality_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class RealityApi(pb_grpc.RealityServiceServicer):
    """Implements `twinmesh.governance.v1.RealityService`."""

    def __init__(self, read: ReadReality, report: ReportMeasure) -> None:
        self._read = read
        self._report = report

    async def ListReality(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListRealityRequest, context: Context
    ) -> pb.ListRealityResponse:
        """See `ReadReality`."""
        del context
        found = await self._read(current_principal(), request.service)
        return pb.ListRealityResponse(realities=[reality_to_pb(each) for each in found])

    async def ReportMeasure(  # noqa: N802 - name fixed by the proto
        self, request: pb.ReportMeasureRequest, context: Context
    ) -> pb.ReportMeasureResponse:
        """See `ReportMeasure`."""
        del context
        await self._report(
            current_principal(),
            service=request.service,
            metric=request.metric,
            value=request.value,
            samples=request.samples,
        )
        return pb.ReportMeasureResponse()
