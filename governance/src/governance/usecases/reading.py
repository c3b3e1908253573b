"""Read what governance holds."""

from datetime import datetime
from typing import Final

from governance.decide.releases import model_at
from governance.model.audit import AuditEntry
from governance.model.contracts import Contract, Mesh, Version
from governance.model.policies import Thing
from governance.model.releases import ModelName, ModelVersion
from governance.ports import Registry
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import NotFoundError
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import current_principal
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.ports.clock import Clock

SNAPSHOT: Final = Thing("Snapshot", "mesh")


class ReadGovernance:
    """Read contracts, models, the supergraph and the audit log."""

    def __init__(self, registry: Registry, clock: Clock, authority: Authority) -> None:
        self._registry = registry
        self._authority = authority
        self._clock = clock

    async def mesh(self) -> Mesh:
        """Return all contracts and the supergraph in force.

        Raises:
            ForbiddenError: The caller may not read them.
        """
        self._may_read()
        mesh, _ = await self._registry.read()
        return mesh

    async def contracts(self, service: str = "") -> list[Contract]:
        """Return every service's contract in force (or its newest), or all versions of one."""
        mesh = await self.mesh()
        if service:
            return list(mesh.of(service))
        chosen = []
        for name in sorted({str(c.bundle.service) for c in mesh.contracts}):
            active = mesh.active().get(name)
            chosen.append(active or mesh.of(name)[0])
        return chosen

    async def contract(self, service: str, version: Version | None) -> Contract:
        """Return one version, or without a version the active (else the newest) one.

        Raises:
            NotFoundError: There is none.
        """
        mesh = await self.mesh()
        if version is not None:
            found = mesh.version(service, version)
        else:
            found = mesh.active().get(service) or next(iter(mesh.of(service)), None)
        if found is None:
            wanted = f"{service} {version}" if version else service
            raise NotFoundError(f"no contract {wanted[:80]}", hint="push it first")
        return found

    async def models(self, name: str = "") -> list[ModelVersion]:
        """Return model versions, newest first; of one model when `name` is set.

        Raises:
            ForbiddenError: The caller may not read them.
        """
        self._may_read()
        _, models = await self._registry.read()
        found = [m for m in models if not name or m.name == name]
        return sorted(found, key=lambda m: (m.name, m.version), reverse=True)

    async def model_at(
        self,
        principal: Principal,
        name: ModelName,
        *,
        at: datetime | None,
        asset_class: str,
        site: str,
        configuration: str = "",
    ) -> ModelVersion:
        """Return the version that decides about an asset at a plant time (default: now).

        Raises:
            NotFoundError: None does: the model abstains.
        """
        moment = at or self._clock.plant_now(principal.tenant)
        found = model_at(
            await self.models(str(name)),
            at=moment,
            asset_class=asset_class,
            site=site,
            configuration=configuration,
        )
        if found is None:
            raise NotFoundError(
                f"no version of {name} decides at {format_time(moment)}",
                hint="submit, approve and activate one",
            )
        return found

    def _may_read(self) -> None:
        self._authority.require(current_principal(), "governance.read", SNAPSHOT)

    async def audit(
        self, principal: Principal, *, before: int | None, limit: int
    ) -> list[AuditEntry]:
        """Return the caller's tenant's audit entries, newest first.

        Raises:
            ForbiddenError: The caller may not read them.
        """
        self._authority.log(principal, "audit.read", mesh=False)
        return await self._registry.audit(str(principal.tenant), before=before, limit=limit)
