"""Artefacts in the object store of the bus."""

from typing import Final

from governance.model.releases import ArtefactDigest
from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.adapters.nats.connection import translated
from twinmesh_sdk.core.errors import NotFoundError

STORE: Final = "bundles"


class NatsArtefacts:
    """See `ArtefactStore`."""

    def __init__(self, bus: MeshNats) -> None:
        self._bus = bus

    async def put(self, digest: ArtefactDigest, data: bytes) -> None:
        """See `ArtefactStore.put`."""
        try:
            if await self.get(digest) == data:
                return
        except NotFoundError:
            pass
        store = await self._bus.objects(STORE)
        with translated("artefact"):
            await store.put(digest.object_name, data)

    async def get(self, digest: ArtefactDigest) -> bytes:
        """See `ArtefactStore.get`."""
        return await self._bus.get_object(STORE, digest.object_name)
