"""The gRPC door; no decisions inside."""

from typing import Any, Final

import grpc

from governance import wire
from governance.model.contracts import Version
from governance.model.releases import ArtefactDigest, ModelName
from governance.usecases import PushContracts, ReadGovernance, ReleaseModel
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import governance_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.request import current_principal

Context = grpc.aio.ServicerContext[Any, Any]
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 200


class GovernanceApi(pb_grpc.GovernanceServiceServicer):
    """Implements `twinmesh.governance.v1.GovernanceService`."""

    def __init__(self, push: PushContracts, read: ReadGovernance, release: ReleaseModel) -> None:
        self._push = push
        self._read = read
        self._release = release

    async def PushContracts(  # noqa: N802 - name fixed by the proto
        self, request: pb.PushContractsRequest, context: Context
    ) -> pb.PushContractsResponse:
        """See `PushContracts`."""
        del context
        bundles = [wire.bundle_from_pb(bundle) for bundle in request.bundles]
        result = await self._push(current_principal(), bundles, dry_run=request.dry_run)
        return pb.PushContractsResponse(
            outcomes=[wire.pushed_to_pb(outcome) for outcome in result.outcomes],
            supergraph_digest=result.supergraph_digest,
        )

    async def ListContracts(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListContractsRequest, context: Context
    ) -> pb.ListContractsResponse:
        """Return contracts, without their schemas."""
        del context
        current_principal()
        contracts = await self._read.contracts(request.service)
        return pb.ListContractsResponse(contracts=[wire.contract_to_pb(c) for c in contracts])

    async def GetContract(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetContractRequest, context: Context
    ) -> pb.GetContractResponse:
        """Return one contract with its bundle."""
        del context
        current_principal()
        contract = await self._read.contract(
            request.service, Version.parse(request.version) if request.version else None
        )
        return pb.GetContractResponse(
            contract=wire.contract_to_pb(contract), bundle=wire.bundle_to_pb(contract.bundle)
        )

    async def GetSupergraph(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetSupergraphRequest, context: Context
    ) -> pb.GetSupergraphResponse:
        """Return the supergraph in force."""
        del request, context
        current_principal()
        supergraph = (await self._read.mesh()).supergraph
        if supergraph is None:
            raise NotFoundError("no subgraph is in force yet", hint="push a contract with one")
        return pb.GetSupergraphResponse(
            digest=supergraph.digest, sdl=supergraph.sdl, subgraph_urls=supergraph.urls
        )

    async def SubmitModel(  # noqa: N802 - name fixed by the proto
        self, request: pb.SubmitModelRequest, context: Context
    ) -> pb.SubmitModelResponse:
        """See `ReleaseModel.submit`."""
        del context
        released = await self._release.submit(
            current_principal(),
            name=ModelName(request.name),
            version=Version.parse(request.version),
            artefact_digest=ArtefactDigest(request.artefact_digest),
            scope=wire.scope_from_pb(request.scope),
            back_test=wire.back_test_from_pb(request.back_test),
            description=request.description,
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
        )
        return pb.GetModelAtResponse(model=wire.model_to_pb(model))

    async def ListAudit(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListAuditRequest, context: Context
    ) -> pb.ListAuditResponse:
        """Return the caller's tenant's audit entries, newest first."""
        del context
        limit = request.page_size or DEFAULT_PAGE
        if limit > MAX_PAGE:
            raise InvalidInputError(f"page_size is at most {MAX_PAGE}")
        token = request.page_token
        if token and not (token.isascii() and token.isdigit() and len(token) <= 18):
            raise InvalidInputError("page_token is not one of this list")
        entries = await self._read.audit(
            current_principal(), before=int(token) if token else None, limit=limit
        )
        more = str(entries[-1].sequence) if len(entries) == limit else ""
        return pb.ListAuditResponse(
            entries=[wire.audit_to_pb(e) for e in entries], next_page_token=more
        )
