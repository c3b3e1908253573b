"""Deployments over REST."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import Field

from governance.decide.deployability import Verdict
from governance.http.contracts import FindingOut
from governance.http.shapes import Name, Strict, VersionText
from governance.model.contracts import ServiceName, Version
from governance.model.deployments import Deployment, DeploymentState, Environment
from governance.usecases import JudgeDeployment, ReadDeployments, RecordDeployment
from governance.wire.deployments import composition_finding
from twinmesh_sdk.core.request import current_principal

EnvironmentText = Annotated[str, Query(max_length=32)]


class DeploymentIn(Strict):
    """What CI says of a deployment."""

    environment: str = Field(max_length=32)
    service: str = Field(max_length=48)
    version: str = Field(max_length=60)
    state: DeploymentState
    retire_others: bool = Field(
        default=False, description="every other version of the service there is gone"
    )


class DeploymentOut(Strict):
    """One version of a service in one environment."""

    environment: str
    service: str
    version: str
    digest: str
    state: DeploymentState
    since: datetime
    recorded_at: datetime
    recorded_by: str

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        """Return a deployment as JSON."""
        return cls(
            environment=str(deployment.environment),
            service=str(deployment.service),
            version=str(deployment.version),
            digest=deployment.digest,
            state=deployment.state,
            since=deployment.since,
            recorded_at=deployment.recorded_at,
            recorded_by=deployment.recorded_by,
        )


class RecordedOut(Strict):
    """What became of a record; findings say why the supergraph stayed as it was."""

    deployment: DeploymentOut
    changed: bool
    supergraph_digest: str
    findings: list[FindingOut]


class AnswerOut(Strict):
    """May it be deployed there: yes, no or unknown, with reasons."""

    verdict: Verdict
    reasons: list[FindingOut]


def add_deployments(
    router: APIRouter, judge: JudgeDeployment, record: RecordDeployment, read: ReadDeployments
) -> None:
    """Add the routes about deployments."""

    @router.get("/deployments")
    async def list_deployments(environment: EnvironmentText = "") -> list[DeploymentOut]:
        """List what runs where."""
        current_principal()
        chosen = str(Environment(environment)) if environment else ""
        return [DeploymentOut.of(d) for d in await read(chosen)]

    @router.post("/deployments")
    async def record_deployment(body: DeploymentIn) -> RecordedOut:
        """Say that a version is being rolled out, is ready, or is gone."""
        recorded = await record(
            current_principal(),
            environment=Environment(body.environment),
            service=ServiceName(body.service),
            version=Version.parse(body.version),
            state=body.state,
            retire_others=body.retire_others,
        )
        return RecordedOut(
            deployment=DeploymentOut.of(recorded.deployment),
            changed=recorded.changed,
            supergraph_digest=recorded.supergraph_digest,
            findings=[FindingOut.of(composition_finding(error)) for error in recorded.errors],
        )

    @router.get("/can-i-deploy/{service}/{version}")
    async def can_i_deploy(
        service: Name, version: VersionText, to: Annotated[str, Query(max_length=32)]
    ) -> AnswerOut:
        """Answer whether a version may be deployed there; 200 whatever the verdict."""
        answer = await judge(
            current_principal(),
            service=ServiceName(service),
            version=Version.parse(version),
            environment=Environment(to),
        )
        return AnswerOut(
            verdict=answer.verdict, reasons=[FindingOut.of(reason) for reason in answer.reasons]
        )
