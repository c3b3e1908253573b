"""The noticeboard on NATS: key-value buckets for digests, an object store for bundles."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Final, TypeVar

from nats.js.api import KeyValueConfig, ObjectStoreConfig
from nats.js.errors import BucketNotFoundError, NoKeysError, NotFoundError, ObjectNotFoundError
from nats.js.kv import KeyValue
from nats.js.object_store import ObjectStore

from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated

CONTRACTS: Final = "contracts"
MODELS: Final = "models"
BUNDLES: Final = "bundles"
HISTORY: Final = 8
AT_ONCE: Final = 64

T = TypeVar("T")


class NatsNoticeboard:
    """See `Noticeboard`."""

    def __init__(self, bus: MeshNats, *, replicas: int = 1) -> None:
        self._bus = bus
        self._replicas = replicas

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """See `Noticeboard.show`."""
        with translated("the snapshot of contracts and models"):
            written = await self._keep_objects(objects)
            written += await self._match(CONTRACTS, contracts)
            written += await self._match(MODELS, models)
        return written

    async def _keep_objects(self, objects: Mapping[str, bytes]) -> int:
        """Add the objects that are not there; their names are digests, so none ever changes."""
        store = await self._object_store()
        written = 0
        for name, data in objects.items():
            try:
                info = await store.get_info(name)
                if info.size == len(data) and not info.deleted:
                    continue
            except (NotFoundError, ObjectNotFoundError):
                pass
            await store.put(name, data)
            written += 1
        return written

    async def _match(self, bucket: str, wanted: Mapping[str, bytes]) -> int:
        """Make a bucket hold exactly these entries. What is there already is left alone."""
        store = await self._bucket(bucket)
        try:
            present = set(await store.keys())
        except NoKeysError:
            present = set()
        held = dict(
            zip(sorted(present), await _together(map(store.get, sorted(present))), strict=True)
        )
        changed = [
            (key, value)
            for key, value in wanted.items()
            if key not in held or held[key].value != value
        ]
        gone = sorted(present - wanted.keys())
        await _together(store.put(key, value) for key, value in changed)
        await _together(store.delete(key) for key in gone)
        return len(changed) + len(gone)

    async def _bucket(self, name: str) -> KeyValue:
        try:
            return await self._bus.js.key_value(name)
        except (BucketNotFoundError, NotFoundError):
            return await self._bus.js.create_key_value(
                KeyValueConfig(bucket=name, history=HISTORY, replicas=self._replicas)
            )

    async def _object_store(self) -> ObjectStore:
        try:
            return await self._bus.js.object_store(BUNDLES)
        except (BucketNotFoundError, NotFoundError):
            return await self._bus.js.create_object_store(
                BUNDLES, config=ObjectStoreConfig(bucket=BUNDLES, replicas=self._replicas)
            )


async def _together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await calls, a bounded number at a time, and return their results in order."""
    waiting = list(calls)
    results: list[T] = []
    while waiting:
        batch, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
        results += await asyncio.gather(*batch)
    return results
