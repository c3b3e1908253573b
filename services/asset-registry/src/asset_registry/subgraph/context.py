"""What one GraphQL request needs: loaders that turn many questions into one store call."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

from strawberry.dataloader import DataLoader

from asset_registry.model import (
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Record,
    RelationFact,
    SignalFact,
    Window,
)
from asset_registry.ports import AssetStore
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.request import current_principal, current_read_time
from twinmesh_sdk.core.times import ReadTime

READ_ROLE: Final = "read"
BATCH: Final = 1000

AssetAsk: TypeAlias = tuple[AssetId, Window]
SignalAsk: TypeAlias = tuple[SignalId, Window]
NameAsk: TypeAlias = tuple[AliasKey, Window]


class Context:
    """Per request: the caller's tenant, the request's times, and a loader per kind of question."""

    def __init__(self, store: AssetStore) -> None:
        caller = current_principal()
        caller.require(READ_ROLE)
        self.tenant: Tenant = caller.tenant
        self.times: ReadTime = current_read_time()
        self.store = store
        self.assets = DataLoader(load_fn=self._assets, max_batch_size=BATCH)
        self.names = DataLoader(load_fn=self._names, max_batch_size=BATCH)
        self.aliases = DataLoader(load_fn=self._aliases, max_batch_size=BATCH)
        self.relations = DataLoader(load_fn=self._relations, max_batch_size=BATCH)
        self.configurations = DataLoader(load_fn=self._configurations, max_batch_size=BATCH)
        self.signals = DataLoader(load_fn=self._signals, max_batch_size=BATCH)
        self.signal_by_id = DataLoader(load_fn=self._signal_by_id, max_batch_size=BATCH)

    def at(self, as_of: datetime | None, known_at: datetime | None) -> ReadTime:
        """Return the request's times, overridden by a field's arguments."""
        return self.times.at(as_of=as_of, known_at=known_at)

    async def _assets(self, asks: list[AssetAsk]) -> Sequence[Record[AssetFact] | None]:
        return await self.store.assets(self.tenant, asks)

    async def _names(self, asks: list[NameAsk]) -> Sequence[tuple[Record[AliasFact], ...]]:
        return await self.store.candidates(self.tenant, asks)

    async def _aliases(self, asks: list[AssetAsk]) -> Sequence[tuple[Record[AliasFact], ...]]:
        return await self.store.aliases(self.tenant, asks)

    async def _relations(self, asks: list[AssetAsk]) -> Sequence[tuple[Record[RelationFact], ...]]:
        return await self.store.relations(self.tenant, asks)

    async def _configurations(
        self, asks: list[AssetAsk]
    ) -> Sequence[tuple[Record[ConfigurationFact], ...]]:
        return await self.store.configurations(self.tenant, asks)

    async def _signals(self, asks: list[AssetAsk]) -> Sequence[tuple[Record[SignalFact], ...]]:
        return await self.store.signals(self.tenant, asks)

    async def _signal_by_id(self, asks: list[SignalAsk]) -> Sequence[Record[SignalFact] | None]:
        return await self.store.signals_by_id(self.tenant, asks)
