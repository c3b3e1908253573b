"""Whoever opens transactions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from governance.adapters.memory.audit import MemoryAudit
from governance.adapters.memory.changes import MemoryChanges
from governance.adapters.memory.consumption import MemoryConsumption, MemoryUses
from governance.adapters.memory.contracts import MemoryContracts
from governance.adapters.memory.deployments import MemoryDeployments
from governance.adapters.memory.models import MemoryModels
from governance.adapters.memory.policies import MemoryPolicies
from governance.adapters.memory.retention import MemoryRetention
from governance.adapters.memory.shadows import MemoryRulings
from governance.adapters.memory.state import Log, State
from governance.decide.audit_leaf import opened
from governance.model.audit import AuditEntry, LogName
from governance.model.contracts import Mesh
from governance.model.releases import ModelVersion


class MemorySession(
    MemoryContracts,
    MemoryModels,
    MemoryAudit,
    MemoryUses,
    MemoryPolicies,
    MemoryRetention,
    MemoryDeployments,
    MemoryChanges,
    MemoryRulings,
):
    """See `Session`."""


class MemoryRegistry:
    """See `Registry`."""

    def __init__(self) -> None:
        self.state = State()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[MemorySession]:
        """See `Registry.exclusive`."""
        async with self._lock:
            state = self.state.copy()
            yield MemorySession(state)
            self.state = state

    @asynccontextmanager
    async def consumption(self) -> AsyncIterator[MemoryConsumption]:
        """See `Registry.consumption`."""
        async with self._lock:
            state = self.state.copy()
            yield MemoryConsumption(state)
            self.state = state

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[MemorySession]:
        """See `Registry.snapshot`."""
        yield MemorySession(self.state.copy())

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """See `Registry.read`."""
        session = MemorySession(self.state)
        return await session.mesh(), await session.models()

    async def audit(self, tenant: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """See `Registry.audit`."""
        log = self.state.audit.get(LogName(tenant), Log())
        own = [e for e in reversed(log.entries) if before is None or e.sequence < before]
        return [opened(entry) for entry in own[:limit]]
