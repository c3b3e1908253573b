"""Policy sets in memory."""

from governance.adapters.memory.state import Part
from governance.model.policies import PolicySet


class MemoryPolicies(Part):
    """See `PolicySession`."""

    async def policy_sets(self) -> list[PolicySet]:
        """See `PolicySession.policy_sets`."""
        return [self.state.policies[version] for version in sorted(self.state.policies)]

    async def save_policy_set(self, changed: PolicySet) -> None:
        """See `PolicySession.save_policy_set`."""
        self.state.policies[changed.version] = changed
