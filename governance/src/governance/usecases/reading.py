"""Read what governance holds."""

from twinmesh_sdk.core.principal import Principal

from governance.model.audit import AuditEntry
from governance.model.contracts import Mesh
from governance.model.releases import ModelVersion
from governance.ports import Registry


class ReadGovernance:
    """Read contracts, models, the supergraph and the audit log."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def mesh(self) -> Mesh:
        """Return all contracts and the supergraph in force."""
        mesh, _ = await self._registry.read()
        return mesh

    async def models(self, name: str = "") -> list[ModelVersion]:
        """Return model versions, newest first; of one model when `name` is set."""
        _, models = await self._registry.read()
        found = [m for m in models if not name or m.name == name]
        return sorted(found, key=lambda m: (m.name, m.version), reverse=True)

    async def audit(
        self, principal: Principal, *, before: int | None, limit: int
    ) -> list[AuditEntry]:
        """Return the caller's tenant's audit entries, newest first."""
        return await self._registry.audit(str(principal.tenant), before=before, limit=limit)
