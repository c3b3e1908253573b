"""Calls about models."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.contracts import Version
from governance.model.releases import ArtefactDigest, ModelName
from governance.usecases import ReadGovernance, ReleaseModel, Submission
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import governance_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class ModelCalls(pb_grpc.GovernanceServiceServicer):
    """Release and read models."""

    _read: ReadGovernance
    _release: ReleaseModel

    async def SubmitModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.SubmitModelRequest, context: Context
    ) -> pb.SubmitModelResponse:
        """See `ReleaseModel.submit`."""
        del context
        released = await self._release.submit(
            current_principal(),
            Submission(
                name=ModelName(request.name),
                version=Version.parse(request.version),
                digest=ArtefactDigest(request.artefact_digest) if request.artefact_digest else None,
                artefact=request.artefact,
                scope=wire.scope_from_pb(request.scope),
                back_test=wire.back_test_from_pb(request.back_test),
                description=request.description,
                training_data=request.training_data,
                signature=wire.signature_from_pb(request.signature),
                draft=request.draft,
            ),
        )
        return pb.SubmitModelResponse(
            model=wire.model_to_pb(released.model), changed=bool(released.changed)
        )

    async def ApproveModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.ApproveModelRequest, context: Context
    ) -> pb.ApproveModelResponse:
        """See `ReleaseModel.approve`."""
        del context
        released = await self._release.approve(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
            note=request.note,
            expires_at=wire.time_or_none(request, "expires_at"),
        )
        return pb.ApproveModelResponse(
            model=wire.model_to_pb(released.model), changed=bool(released.changed)
        )

    async def ActivateModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.ActivateModelRequest, context: Context
    ) -> pb.ActivateModelResponse:
        """See `ReleaseModel.activate`."""
        del context
        released = await self._release.activate(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
            effective_from=wire.time_or_none(request, "effective_from"),
        )
        return pb.ActivateModelResponse(
            model=wire.model_to_pb(released.model), changed=bool(released.changed)
        )

    async def RetireModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.RetireModelRequest, context: Context
    ) -> pb.RetireModelResponse:
        """See `ReleaseModel.retire`."""
        del context
        released = await self._release.retire(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
        )
        return pb.RetireModelResponse(
            model=wire.model_to_pb(released.model), changed=bool(released.changed)
        )

    async def ListModels(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """Return model versions, newest first."""
        del context
        current_principal()
        models = await self._read.models(request.name)
        return pb.ListModelsResponse(models=[wire.model_to_pb(m) for m in models])

    async def GetModelAt(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetModelAtRequest, context: Context
    ) -> pb.GetModelAtResponse:
        """Return the version that decides at a plant time."""
        del context
        model = await self._read.model_at(
            current_principal(),
            ModelName(request.name),
            at=wire.time_or_none(request, "at"),
            asset_class=request.asset_class,
            site=request.site,
            configuration=request.configuration,
        )
        return pb.GetModelAtResponse(model=wire.model_to_pb(model))
