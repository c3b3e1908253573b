"""What resolvers may use."""

from collections.abc import Sequence

from strawberry.dataloader import DataLoader

from governance.model.lineage import Derived
from governance.model.reality import Reality
from governance.usecases import ReadGovernance, ReadLineage, WatchReplicas
from governance.usecases.lineage import MAX_PER_ASSET
from governance.usecases.reality import ReadReality
from twinmesh_sdk.core.request import current_principal


class Context:
    """Per request."""

    def __init__(
        self, read: ReadGovernance, lineage: ReadLineage, watch: WatchReplicas, reality: ReadReality
    ) -> None:
        self.read = read
        self.lineage = lineage
        self.watch = watch
        self.about: DataLoader[str, list[Derived]] = DataLoader(load_fn=self._about)
        self.standings: DataLoader[str, list[Reality]] = DataLoader(load_fn=self._standings)
        self._reality = reality

    async def _about(self, assets: list[str]) -> Sequence[list[Derived]]:
        found = await self.lineage.about(current_principal(), assets, per_asset=MAX_PER_ASSET)
        return [found.get(asset, []) for asset in assets]

    async def _standings(self, services: list[str]) -> Sequence[list[Reality]]:
        found = await self._reality(current_principal())
        return [[r for r in found if r.promise.service == service] for service in services]
