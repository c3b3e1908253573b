"""The twins in hand: one writer at a time, and nothing half done."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final

from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.ports import Change, TwinStore
from twinmesh_sdk.core.ids import AssetId, Tenant

MAX_TWINS_IN_HAND: Final = 2_000
"""Twins kept in memory between batches; further ones are read from the store each time."""


class Workbench:
    """Twins as last saved, in memory.

    A use case opens the bench, changes twins and saves them. Whatever leaves the bench without
    having been saved is forgotten, so the next use case finds what the store holds. Another
    process that saved in between makes the save a `ConflictError`, which is safe to repeat.
    """

    def __init__(self, store: TwinStore) -> None:
        self._store = store
        self._twins: OrderedDict[tuple[Tenant, AssetId], AssetTwin] = OrderedDict()
        self._lock = asyncio.Lock()
        self._touched: set[tuple[Tenant, AssetId]] = set()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Workbench"]:
        """Hold the bench; twins that were taken from it and not saved are forgotten."""
        async with self._lock:
            self._touched = set()
            try:
                yield self
            finally:
                for key in self._touched:
                    self._twins.pop(key, None)
                while len(self._twins) > MAX_TWINS_IN_HAND:
                    self._twins.popitem(last=False)

    async def twins(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, AssetTwin]:
        """Return the twins that exist, to be changed and saved."""
        missing = [a for a in asset_ids if (tenant, a) not in self._twins]
        if missing:
            for asset_id, twin in (await self._store.load(tenant, missing)).items():
                self._twins[tenant, asset_id] = twin
        found = {a: self._twins[tenant, a] for a in asset_ids if (tenant, a) in self._twins}
        self._touched |= {(tenant, a) for a in found}
        return found

    async def save(self, changes: Sequence[Change]) -> None:
        """Save, and keep the twins in hand.

        Raises:
            ConflictError: Another process saved one of them since; nothing is saved.
            UnavailableError: The store does not answer.
        """
        await self._store.save(changes)
        for change in changes:
            key = (change.twin.tenant, change.twin.asset_id)
            self._twins[key] = change.twin
            self._twins.move_to_end(key)
            self._touched.discard(key)
