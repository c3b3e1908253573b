"""The registry and the noticeboard in memory: for tests, held to the same contract suite."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from governance.model.audit import AuditEntry
from governance.model.contracts import Contract, Mesh, Supergraph
from governance.model.releases import ModelVersion


@dataclass
class _State:
    contracts: dict[tuple[str, str], Contract] = field(default_factory=dict)
    supergraph: Supergraph | None = None
    models: dict[tuple[str, str], ModelVersion] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)

    def copy(self) -> "_State":
        return _State(dict(self.contracts), self.supergraph, dict(self.models), list(self.audit))


class MemoryRegistry:
    """See `Registry`."""

    def __init__(self) -> None:
        self._state = _State()
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["MemorySession"]:
        """See `Registry.exclusive`."""
        async with self._lock:
            state = self._state.copy()
            yield MemorySession(state)
            self._state = state

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """See `Registry.read`."""
        session = MemorySession(self._state)
        return await session.mesh(), await session.models()

    async def audit(self, tenant: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """See `Registry.audit`."""
        own = [
            entry
            for entry in reversed(self._state.audit)
            if entry.tenant == tenant and (before is None or entry.sequence < before)
        ]
        return own[:limit]


class MemorySession:
    """See `Session`."""

    def __init__(self, state: _State) -> None:
        self._state = state

    async def mesh(self) -> Mesh:
        """See `Session.mesh`."""
        return Mesh(tuple(self._state.contracts.values()), self._state.supergraph)

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """See `Session.save_contracts`."""
        for contract in changed:
            key = (str(contract.bundle.service), str(contract.bundle.version))
            self._state.contracts[key] = contract

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """See `Session.save_supergraph`."""
        if supergraph is not None:
            self._state.supergraph = supergraph

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `Session.models`."""
        return [m for m in self._state.models.values() if name is None or m.name == name]

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `Session.save_models`."""
        for model in changed:
            self._state.models[str(model.name), str(model.version)] = model

    async def record(self, entry: AuditEntry) -> None:
        """See `Session.record`."""
        self._state.audit.append(replace(entry, sequence=len(self._state.audit) + 1))


class MemoryNoticeboard:
    """See `Noticeboard`."""

    def __init__(self) -> None:
        self.contracts: dict[str, bytes] = {}
        self.models: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """See `Noticeboard.show`."""
        written = sum(1 for name in objects if name not in self.objects)
        self.objects |= objects
        for held, wanted in ((self.contracts, contracts), (self.models, models)):
            changed = {k for k, v in wanted.items() if held.get(k) != v}
            written += len(changed) + len(held.keys() - wanted.keys())
            held.clear()
            held.update(wanted)
        return written
