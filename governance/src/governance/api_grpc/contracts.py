"""Calls about contracts."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.contracts import Version
from governance.usecases import PushContracts, ReadGovernance
from twinmesh.governance.v1 import governance_service_pb2 as pb
from twinmesh.governance.v1 import governance_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.errors import NotFoundError
from twinmesh_sdk.core.request import current_principal


class ContractCalls(pb_grpc.GovernanceServiceServicer):
    """Register and read contracts."""

    _push: PushContracts
    _read: ReadGovernance

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
