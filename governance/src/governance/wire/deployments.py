"""Deployments to protobuf and back."""

from typing import Final

from governance.decide.composition import CompositionError
from governance.decide.deployability import Answer, Verdict
from governance.model.deployments import Deployment, DeploymentState
from governance.model.findings import Finding, Severity
from governance.usecases.deploying import Recorded
from governance.wire.contracts import finding_to_pb
from twinmesh.governance.v1 import deployment_service_pb2 as pb
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.wire import timestamp

STATE_TO_PB: Final = {
    DeploymentState.STARTING: pb.DEPLOYMENT_STATE_STARTING,
    DeploymentState.READY: pb.DEPLOYMENT_STATE_READY,
    DeploymentState.RETIRED: pb.DEPLOYMENT_STATE_RETIRED,
}
VERDICT_TO_PB: Final = {
    Verdict.YES: pb.DEPLOY_VERDICT_YES,
    Verdict.NO: pb.DEPLOY_VERDICT_NO,
    Verdict.UNKNOWN: pb.DEPLOY_VERDICT_UNKNOWN,
}


def deployment_state_from_pb(value: int) -> DeploymentState:
    """Return a state.

    Raises:
        InvalidInputError: It is none.
    """
    for state, known in STATE_TO_PB.items():
        if known == value:
            return state
    raise InvalidInputError("a deployment is STARTING, READY or RETIRED")


def deployment_to_pb(deployment: Deployment) -> pb.Deployment:
    """Return a deployment."""
    return pb.Deployment(
        environment=deployment.environment,
        service=deployment.service,
        version=str(deployment.version),
        digest=deployment.digest,
        state=STATE_TO_PB[deployment.state],
        since=timestamp(deployment.since),
        recorded_at=timestamp(deployment.recorded_at),
        recorded_by=deployment.recorded_by,
    )


def recorded_to_pb(recorded: Recorded) -> pb.RecordDeploymentResponse:
    """Return what became of a record."""
    return pb.RecordDeploymentResponse(
        deployment=deployment_to_pb(recorded.deployment),
        changed=recorded.changed,
        supergraph_digest=recorded.supergraph_digest,
        findings=[finding_to_pb(composition_finding(error)) for error in recorded.errors],
    )


def composition_finding(error: CompositionError) -> Finding:
    """Return why a supergraph stays as it was."""
    return Finding(
        code=error.code,
        subject=error.coordinate or ", ".join(error.subgraphs),
        message=error.message,
        hint="the supergraph stays as it was until what is deployed composes",
        severity=Severity.WARNING,
    )


def answer_to_pb(answer: Answer) -> pb.CanIDeployResponse:
    """Return an answer."""
    return pb.CanIDeployResponse(
        verdict=VERDICT_TO_PB[answer.verdict],
        reasons=[finding_to_pb(reason) for reason in answer.reasons],
    )
