"""What runs where, in PostgreSQL."""

from collections.abc import Sequence

from sqlalchemy import select

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import DEPLOYMENTS
from governance.model.deployments import Deployment


class PostgresDeployments(Transaction):
    """See `DeploymentSession`."""

    async def deployments(self, environment: str = "") -> list[Deployment]:
        """See `DeploymentSession.deployments`."""
        query = select(DEPLOYMENTS).order_by(DEPLOYMENTS.c.environment, DEPLOYMENTS.c.service)
        if environment:
            query = query.where(DEPLOYMENTS.c.environment == environment)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.deployment_of(dict(row)) for row in found]

    async def save_deployments(self, changed: Sequence[Deployment]) -> None:
        """See `DeploymentSession.save_deployments`."""
        key = ("environment", "service", "version")
        for deployment in changed:
            await self.upsert(DEPLOYMENTS, rows.deployment_row(deployment), key)
