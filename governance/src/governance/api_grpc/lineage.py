"""The gRPC door of released models: shadows, roll-backs, recalls, impact, alarms, exports."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.contracts import Version
from governance.model.lineage import ReportId
from governance.model.releases import ModelName
from governance.usecases import (
    ReadLineage,
    RecallModel,
    RecordExport,
    ReleaseModel,
    WatchReplicas,
)
from governance.usecases.lineage import MAX_LISTED
from twinmesh.governance.v1 import model_service_pb2 as pb
from twinmesh.governance.v1 import model_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class ModelApi(pb_grpc.ModelServiceServicer):
    """Implements `twinmesh.governance.v1.ModelService`."""

    def __init__(
        self,
        release: ReleaseModel,
        recall: RecallModel,
        lineage: ReadLineage,
        watch: WatchReplicas,
        export: RecordExport,
    ) -> None:
        self._release = release
        self._recall = recall
        self._lineage = lineage
        self._watch = watch
        self._export = export

    async def ShadowModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.ShadowModelRequest, context: Context
    ) -> pb.ShadowModelResponse:
        """See `ReleaseModel.shadow`."""
        del context
        released = await self._release.shadow(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
        )
        return pb.ShadowModelResponse(
            model=wire.model_to_pb(released.model), changed=bool(released.changed)
        )

    async def RollBackModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.RollBackModelRequest, context: Context
    ) -> pb.RollBackModelResponse:
        """See `ReleaseModel.roll_back`."""
        del context
        done = await self._release.roll_back(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
        )
        return pb.RollBackModelResponse(
            model=wire.model_to_pb(done.ended),
            again=wire.model_to_pb(done.again),
            affected=[wire.derived_to_pb(d) for d in done.affected.outputs],
        )

    async def RecallModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.RecallModelRequest, context: Context
    ) -> pb.RecallModelResponse:
        """See `RecallModel`."""
        del context
        done = await self._recall(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
            reason=request.reason,
        )
        return pb.RecallModelResponse(
            model=wire.model_to_pb(done.model),
            changed=done.changed,
            acknowledged_by=sorted(done.acknowledged_by),
            waiting_for=sorted(done.waiting_for),
            outputs=[wire.derived_to_pb(d) for d in done.impact.outputs],
            receipts=[wire.receipt_to_pb(r) for r in done.impact.receipts],
            truncated=done.impact.truncated,
        )

    async def GetModelImpact(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetModelImpactRequest, context: Context
    ) -> pb.GetModelImpactResponse:
        """See `ReadLineage.impact`."""
        del context
        impact = await self._lineage.impact(
            current_principal(),
            ModelName(request.name),
            Version.parse(request.version),
            limit=request.limit or MAX_LISTED,
        )
        return pb.GetModelImpactResponse(
            outputs=[wire.derived_to_pb(d) for d in impact.outputs],
            receipts=[wire.receipt_to_pb(r) for r in impact.receipts],
            truncated=impact.truncated,
        )

    async def ListModelAlarms(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListModelAlarmsRequest, context: Context
    ) -> pb.ListModelAlarmsResponse:
        """See `WatchReplicas.of`."""
        del request, context
        alarms = self._watch.of(current_principal())
        return pb.ListModelAlarmsResponse(alarms=[wire.alarm_to_pb(a) for a in alarms])

    async def RecordExports(  # noqa: N802 - name fixed by the proto
        self, request: pb.RecordExportsRequest, context: Context
    ) -> pb.RecordExportsResponse:
        """See `RecordExport`."""
        del context
        principal = current_principal()
        counted = await self._export(
            principal,
            ReportId(f"export:{principal.client_id}", request.instance, request.sequence),
            [wire.receipt_from_pb(r) for r in request.receipts],
        )
        return pb.RecordExportsResponse(counted=counted)

    async def GetArtefact(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetArtefactRequest, context: Context
    ) -> pb.GetArtefactResponse:
        """See `ReleaseModel.artefact`."""
        del context
        model, data = await self._release.artefact(
            current_principal(), ModelName(request.name), Version.parse(request.version)
        )
        return pb.GetArtefactResponse(
            digest=model.artefact_digest,
            artefact=data,
            signed=model.signed,
            public_key=self._release.public_key,
        )
