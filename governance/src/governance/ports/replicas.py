"""What governance hears of the processes that run models."""

from collections.abc import Sequence
from typing import Protocol

from governance.model.replicas import Heartbeat


class ReplicaBoard(Protocol):
    """Where processes say what they run."""

    def heartbeats(self) -> Sequence[Heartbeat]:
        """Return each process as last heard; those that cannot be read are left out."""
        ...

    async def changed(self, *, within_s: float) -> None:
        """Return when one spoke, or after that many seconds."""
        ...
