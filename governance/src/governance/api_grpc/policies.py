"""Calls of `twinmesh.governance.v1.PolicyService`."""

from governance.api_grpc.context import Context
from governance.decide.policies import read_tests
from governance.model.policies import PolicySet
from governance.usecases.authority import Authority
from governance.usecases.policies import ChangePolicies, ReadPolicies
from governance.wire.policies import policy_set_to_pb
from twinmesh.governance.v1 import policy_service_pb2 as pb
from twinmesh.governance.v1 import policy_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class PolicyApi(pb_grpc.PolicyServiceServicer):
    """Implements `twinmesh.governance.v1.PolicyService`."""

    def __init__(self, read: ReadPolicies, change: ChangePolicies, authority: Authority) -> None:
        self._read = read
        self._change = change
        self._authority = authority

    async def ListPolicySets(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListPolicySetsRequest, context: Context
    ) -> pb.ListPolicySetsResponse:
        """See `ReadPolicies.all`."""
        del request, context
        sets = await self._read.all(current_principal())
        return pb.ListPolicySetsResponse(sets=[self._pb(each, whole=False) for each in sets])

    async def GetPolicySet(  # noqa: N802 - name fixed by the proto
        self, request: pb.GetPolicySetRequest, context: Context
    ) -> pb.GetPolicySetResponse:
        """See `ReadPolicies.one`."""
        del context
        version = request.version if request.HasField("version") else None
        found = await self._read.one(current_principal(), version)
        return pb.GetPolicySetResponse(set=self._pb(found))

    async def PutPolicySet(  # noqa: N802 - name fixed by the proto
        self, request: pb.PutPolicySetRequest, context: Context
    ) -> pb.PutPolicySetResponse:
        """See `ChangePolicies.put`."""
        del context
        made = await self._change.put(
            current_principal(),
            cedar=request.cedar,
            tests=read_tests(request.tests),
            note=request.note,
        )
        return pb.PutPolicySetResponse(set=self._pb(made))

    async def ApprovePolicySet(  # noqa: N802 - name fixed by the proto
        self, request: pb.ApprovePolicySetRequest, context: Context
    ) -> pb.ApprovePolicySetResponse:
        """See `ChangePolicies.approve`."""
        del context
        approved = await self._change.approve(
            current_principal(), request.version, note=request.note
        )
        return pb.ApprovePolicySetResponse(set=self._pb(approved))

    def _pb(self, given: PolicySet, *, whole: bool = True) -> pb.PolicySet:
        return policy_set_to_pb(given, in_force=self._authority.in_force.version, whole=whole)
