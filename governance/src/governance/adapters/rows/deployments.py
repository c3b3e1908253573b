"""Deployments."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.contracts import ServiceName, Version
from governance.model.deployments import Deployment, DeploymentState, Environment


def deployment_row(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as columns."""
    return {
        "environment": str(deployment.environment),
        "service": str(deployment.service),
        "version": str(deployment.version),
        "digest": deployment.digest,
        "state": str(deployment.state),
        "since": deployment.since,
        "recorded_at": deployment.recorded_at,
        "recorded_by": deployment.recorded_by,
    }


def deployment_of(row: Row) -> Deployment:
    """Return the deployment in a row."""
    return Deployment(
        environment=Environment(row["environment"]),
        service=ServiceName(row["service"]),
        version=Version.parse(row["version"]),
        digest=row["digest"],
        state=DeploymentState(row["state"]),
        since=utc(row["since"]),
        recorded_at=utc(row["recorded_at"]),
        recorded_by=row["recorded_by"],
    )
