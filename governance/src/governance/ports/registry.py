"""Where governance keeps what it holds."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from governance.model.audit import AuditEntry
from governance.model.contracts import Mesh
from governance.model.releases import ModelVersion
from governance.ports.audit import AuditSession
from governance.ports.changes import ChangeSession
from governance.ports.consumption import ConsumptionSession, UseSession
from governance.ports.contracts import ContractSession
from governance.ports.deployments import DeploymentSession
from governance.ports.models import ModelSession
from governance.ports.policies import PolicySession
from governance.ports.retention import RetentionSession
from governance.ports.shadows import RulingSession


class Session(
    ContractSession,
    ModelSession,
    AuditSession,
    UseSession,
    PolicySession,
    RetentionSession,
    DeploymentSession,
    ChangeSession,
    RulingSession,
    Protocol,
):
    """One transaction that excludes every other writer of governance, in all its replicas."""


class Registry(Protocol):
    """Where contracts, models and the audit log are kept."""

    def exclusive(self) -> AbstractAsyncContextManager[Session]:
        """Open a transaction alone; it commits unless the block raises.

        Raises:
            UnavailableError: The store does not answer, or another writer holds on too long.
        """
        ...

    def consumption(self) -> AbstractAsyncContextManager[ConsumptionSession]:
        """Open a transaction that counts what was consumed, beside any other.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Session]:
        """Open a consistent view that nothing is written through, without excluding anybody.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """Return a consistent snapshot, without excluding anybody."""
        ...

    async def audit(self, tenant: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """Return a tenant's audit entries, newest first, with a sequence below `before`."""
        ...
