"""The noticeboard on NATS: key-value buckets for digests, an object store for bundles."""

from collections.abc import Mapping
from typing import Final

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, ObjectStoreConfig
from nats.js.errors import BucketNotFoundError, NoKeysError, NotFoundError, ObjectNotFoundError
from nats.js.kv import KeyValue
from nats.js.object_store import ObjectStore

from twinmesh_sdk.core.errors import UnavailableError

CONTRACTS: Final = "contracts"
MODELS: Final = "models"
BUNDLES: Final = "bundles"
HISTORY: Final = 8


class NatsNoticeboard:
    """See `Noticeboard`."""

    def __init__(self, jetstream: JetStreamContext, *, replicas: int = 1) -> None:
        self._jetstream = jetstream
        self._replicas = replicas

    async def show(
        self,
        *,
        contracts: Mapping[str, bytes],
        models: Mapping[str, bytes],
        objects: Mapping[str, bytes],
    ) -> int:
        """See `Noticeboard.show`."""
        try:
            written = await self._keep_objects(objects)
            written += await self._match(CONTRACTS, contracts)
            written += await self._match(MODELS, models)
        except (NatsError, OSError, TimeoutError) as error:
            raise UnavailableError("NATS did not take the snapshot of contracts") from error
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
        written = 0
        for key, value in wanted.items():
            if key in present and (await store.get(key)).value == value:
                continue
            await store.put(key, value)
            written += 1
        for key in present - set(wanted):
            await store.delete(key)
            written += 1
        return written

    async def _bucket(self, name: str) -> KeyValue:
        try:
            return await self._jetstream.key_value(name)
        except (BucketNotFoundError, NotFoundError):
            return await self._jetstream.create_key_value(
                KeyValueConfig(bucket=name, history=HISTORY, replicas=self._replicas)
            )

    async def _object_store(self) -> ObjectStore:
        try:
            return await self._jetstream.object_store(BUNDLES)
        except (BucketNotFoundError, NotFoundError):
            return await self._jetstream.create_object_store(
                BUNDLES, config=ObjectStoreConfig(bucket=BUNDLES, replicas=self._replicas)
            )
