"""Calls about uses, deprecations and overrides."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.changes import OverrideId
from governance.model.consumption import ClientOwner
from governance.model.contracts import ServiceName
from governance.usecases import OverrideRefusals, ReadConsumers
from twinmesh.governance.v1 import contract_service_pb2 as pb
from twinmesh.governance.v1 import contract_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class ContractApi(pb_grpc.ContractServiceServicer):
    """Implements `twinmesh.governance.v1.ContractService`."""

    def __init__(self, consumers: ReadConsumers, overrides: OverrideRefusals) -> None:
        self._consumers = consumers
        self._overrides = overrides

    async def ListUses(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListUsesRequest, context: Context
    ) -> pb.ListUsesResponse:
        """Return what clients used of a service's contract."""
        del context
        found = await self._consumers.uses(
            current_principal(),
            str(ServiceName(request.service)),
            since=wire.time_or_none(request, "since"),
        )
        return wire.uses_to_pb(found)

    async def NameClient(  # noqa: N802 - name fixed by the proto
        self, request: pb.NameClientRequest, context: Context
    ) -> pb.NameClientResponse:
        """See `ReadConsumers.name`."""
        del context
        owner = ClientOwner(request.client, request.team, request.contact)
        await self._consumers.name(current_principal(), owner)
        return pb.NameClientResponse()

    async def ListDeprecations(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListDeprecationsRequest, context: Context
    ) -> pb.ListDeprecationsResponse:
        """Return what is deprecated, with who still uses it."""
        del context
        found = await self._consumers.deprecations(current_principal(), request.service)
        return pb.ListDeprecationsResponse(deprecations=[wire.deprecated_to_pb(d) for d in found])

    async def RequestOverride(  # noqa: N802 - name fixed by the proto
        self, request: pb.RequestOverrideRequest, context: Context
    ) -> pb.RequestOverrideResponse:
        """See `OverrideRefusals.request`."""
        del context
        override = await self._overrides.request(
            current_principal(),
            wire.bundle_from_pb(request.bundle),
            reason=request.reason,
            expires_at=wire.time_or_none(request, "expires_at"),
        )
        return pb.RequestOverrideResponse(override=wire.override_to_pb(override))

    async def ApproveOverride(  # noqa: N802 - name fixed by the proto
        self, request: pb.ApproveOverrideRequest, context: Context
    ) -> pb.ApproveOverrideResponse:
        """See `OverrideRefusals.approve`."""
        del context
        override = await self._overrides.approve(current_principal(), OverrideId(request.id))
        return pb.ApproveOverrideResponse(override=wire.override_to_pb(override))

    async def ListOverrides(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListOverridesRequest, context: Context
    ) -> pb.ListOverridesResponse:
        """Return overrides, the newest first."""
        del context
        current_principal()
        found = await self._overrides.all(expired=request.all)
        return pb.ListOverridesResponse(overrides=[wire.override_to_pb(o) for o in found])
