"""The gRPC door of shadows, rulings and requests to retrain."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import RetrainingId
from governance.usecases.retraining import AnswerRetraining
from governance.usecases.shadows import ReadShadows
from twinmesh.governance.v1 import shadow_service_pb2 as pb
from twinmesh.governance.v1 import shadow_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class ShadowApi(pb_grpc.ShadowServiceServicer):
    """Implements `twinmesh.governance.v1.ShadowService`."""

    def __init__(self, read: ReadShadows, answer: AnswerRetraining) -> None:
        self._read = read
        self._answer = answer

    async def GetModelShadow(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetModelShadowRequest, context: Context
    ) -> pb.GetModelShadowResponse:
        """See `ReadShadows.view`."""
        del context
        view = await self._read.view(
            current_principal(), ModelName(request.name), Version.parse(request.version)
        )
        return pb.GetModelShadowResponse(
            reports=[wire.report_to_pb(champion, outcome) for champion, outcome in view.against],
            drift=wire.drift_to_pb(*view.drift) if view.drift else None,
            rulings=[wire.ruling_to_pb(r) for r in view.rulings],
        )

    async def ListRetrainingRequests(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListRetrainingRequestsRequest, context: Context
    ) -> pb.ListRetrainingRequestsResponse:
        """See `ReadShadows.retrainings`."""
        del context
        found = await self._read.retrainings(current_principal(), request.model)
        return pb.ListRetrainingRequestsResponse(requests=[wire.retraining_to_pb(r) for r in found])

    async def AnswerRetrainingRequest(  # noqa: N802 - name fixed by the proto
        self, request: pb.AnswerRetrainingRequestRequest, context: Context
    ) -> pb.AnswerRetrainingRequestResponse:
        """See `AnswerRetraining`."""
        del context
        answered = await self._answer(
            current_principal(), RetrainingId(request.id), Version.parse(request.version)
        )
        return pb.AnswerRetrainingRequestResponse(request=wire.retraining_to_pb(answered))
