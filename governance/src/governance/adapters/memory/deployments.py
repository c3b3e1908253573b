"""What runs where, in memory."""

from collections.abc import Sequence

from governance.adapters.memory.state import Part
from governance.model.deployments import Deployment


class MemoryDeployments(Part):
    """See `DeploymentSession`."""

    async def deployments(self, environment: str = "") -> list[Deployment]:
        """See `DeploymentSession.deployments`."""
        held = self.state.deployments
        return [held[key] for key in sorted(held) if environment in ("", key[0])]

    async def save_deployments(self, changed: Sequence[Deployment]) -> None:
        """See `DeploymentSession.save_deployments`."""
        for each in changed:
            key = (str(each.environment), str(each.service), str(each.version))
            self.state.deployments[key] = each
