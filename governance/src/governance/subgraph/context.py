"""What resolvers may use."""

from collections.abc import Sequence
from dataclasses import dataclass

from strawberry.dataloader import DataLoader

from governance.model.contracts import Version
from governance.model.deployments import Deployment
from governance.model.findings import Consumer
from governance.model.lineage import Derived
from governance.model.reality import Reality
from governance.model.releases import ModelName
from governance.usecases import (
    OverrideRefusals,
    ReadConsumers,
    ReadDeployments,
    ReadGovernance,
    ReadLineage,
    WatchReplicas,
)
from governance.usecases.consumers import Deprecated
from governance.usecases.lineage import MAX_PER_ASSET
from governance.usecases.reality import ReadReality
from governance.usecases.shadows import ReadShadows, ShadowView
from twinmesh_sdk.core.request import current_principal


@dataclass(frozen=True, slots=True)
class ContractChanges:
    """What is read about changes of contracts."""

    consumers: ReadConsumers
    overrides: OverrideRefusals
    deployments: ReadDeployments


class Context:
    """Per request."""

    def __init__(
        self,
        read: ReadGovernance,
        lineage: ReadLineage,
        watch: WatchReplicas,
        reality: ReadReality,
        changes: ContractChanges,
        *,
        shadows: ReadShadows,
    ) -> None:
        self.read = read
        self.overrides = changes.overrides
        self._changes = changes
        self.deprecated: DataLoader[str, list[Deprecated]] = DataLoader(load_fn=self._deprecated)
        self.deployed: DataLoader[str, list[Deployment]] = DataLoader(load_fn=self._deployed)
        self.consumers: DataLoader[str, tuple[Consumer, ...]] = DataLoader(load_fn=self._consumers)
        self.lineage = lineage
        self.watch = watch
        self.shadows = shadows
        self.shadowed: DataLoader[tuple[str, str], ShadowView] = DataLoader(load_fn=self._shadowed)
        self.about: DataLoader[str, list[Derived]] = DataLoader(load_fn=self._about)
        self.standings: DataLoader[str, list[Reality]] = DataLoader(load_fn=self._standings)
        self._reality = reality

    async def _deprecated(self, services: list[str]) -> Sequence[list[Deprecated]]:
        found = await self._changes.consumers.deprecations(current_principal())
        return [[d for d in found if d.deprecation.service == name] for name in services]

    async def _deployed(self, services: list[str]) -> Sequence[list[Deployment]]:
        found = await self._changes.deployments()
        return [[d for d in found if d.service == name] for name in services]

    async def _consumers(self, services: list[str]) -> Sequence[tuple[Consumer, ...]]:
        found = await self._changes.consumers.consumers(current_principal(), services)
        return [found[name] for name in services]

    async def _about(self, assets: list[str]) -> Sequence[list[Derived]]:
        found = await self.lineage.about(current_principal(), assets, per_asset=MAX_PER_ASSET)
        return [found.get(asset, []) for asset in assets]

    async def _standings(self, services: list[str]) -> Sequence[list[Reality]]:
        found = await self._reality(current_principal())
        return [[r for r in found if r.promise.service == service] for service in services]

    async def _shadowed(self, versions: list[tuple[str, str]]) -> Sequence[ShadowView]:
        principal = current_principal()
        return [
            await self.shadows.view(principal, ModelName(name), Version.parse(version))
            for name, version in versions
        ]
