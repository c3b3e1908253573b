"""What governance needs for its policies."""

from typing import Protocol

from governance.model.policies import PolicySet


class PolicySession(Protocol):
    """Policy sets in a transaction."""

    async def policy_sets(self) -> list[PolicySet]:
        """Return the sets that were put, oldest first."""
        ...

    async def save_policy_set(self, changed: PolicySet) -> None:
        """Insert or update a set."""
        ...
