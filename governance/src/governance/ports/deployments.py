"""What governance needs to know what runs where."""

from collections.abc import Sequence
from typing import Protocol

from governance.model.deployments import Deployment


class DeploymentSession(Protocol):
    """Deployments in a transaction."""

    async def deployments(self, environment: str = "") -> list[Deployment]:
        """Return what runs, and what last ran, in one environment or in all."""
        ...

    async def save_deployments(self, changed: Sequence[Deployment]) -> None:
        """Insert or update these."""
        ...
