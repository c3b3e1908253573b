"""Calls about deployments."""

from governance import wire
from governance.api_grpc.context import Context
from governance.model.contracts import ServiceName, Version
from governance.model.deployments import Environment
from governance.usecases import JudgeDeployment, ReadDeployments, RecordDeployment
from twinmesh.governance.v1 import deployment_service_pb2 as pb
from twinmesh.governance.v1 import deployment_service_pb2_grpc as pb_grpc
from twinmesh_sdk.core.request import current_principal


class DeploymentApi(pb_grpc.DeploymentServiceServicer):
    """Implements `twinmesh.governance.v1.DeploymentService`."""

    def __init__(
        self, judge: JudgeDeployment, record: RecordDeployment, read: ReadDeployments
    ) -> None:
        self._judge = judge
        self._record = record
        self._read = read

    async def CanIDeploy(  # noqa: N802 - name fixed by the proto
        self, request: pb.CanIDeployRequest, context: Context
    ) -> pb.CanIDeployResponse:
        """See `JudgeDeployment`."""
        del context
        answer = await self._judge(
            current_principal(),
            service=ServiceName(request.service),
            version=Version.parse(request.version),
            environment=Environment(request.environment),
        )
        return wire.answer_to_pb(answer)

    async def RecordDeployment(  # noqa: N802 - name fixed by the proto
        self, request: pb.RecordDeploymentRequest, context: Context
    ) -> pb.RecordDeploymentResponse:
        """See `RecordDeployment`."""
        del context
        recorded = await self._record(
            current_principal(),
            environment=Environment(request.environment),
            service=ServiceName(request.service),
            version=Version.parse(request.version),
            state=wire.deployment_state_from_pb(request.state),
            retire_others=request.retire_others,
        )
        return wire.recorded_to_pb(recorded)

    async def ListDeployments(  # noqa: N802 - name fixed by the proto
        self, request: pb.ListDeploymentsRequest, context: Context
    ) -> pb.ListDeploymentsResponse:
        """Return what runs where."""
        del context
        current_principal()
        found = await self._read(
            str(Environment(request.environment)) if request.environment else ""
        )
        return pb.ListDeploymentsResponse(deployments=[wire.deployment_to_pb(d) for d in found])
