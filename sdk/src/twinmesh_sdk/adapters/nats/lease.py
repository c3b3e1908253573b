"""A lease in the KV bucket `leases`: one process of several does the work."""

import asyncio
import time
from contextlib import suppress
from typing import Final
from uuid import uuid4

from nats.js import errors as js_errors
from nats.js.kv import KeyValue

from twinmesh_sdk.adapters.nats.connection import MeshNats, translated
from twinmesh_sdk.core.errors import ConflictError, TwinError

BUCKET: Final = "leases"
EXPIRES_S: Final = 5.0
RENEW_S: Final = 1.5
RELEASE_TIMEOUT_S: Final = 1.0


class Lease:
    """Held by whoever last wrote it, as long as they keep writing.

    A lease counts as given up when nobody has written it for EXPIRES_S on the clock of the process
    that wants it, so clocks need not agree. Two holders may overlap for a moment: use it where
    doing the work twice is harmless.
    """

    def __init__(self, bus: MeshNats, name: str) -> None:
        self._bus = bus
        self._key = name
        self._holder = uuid4().hex.encode()
        self._revision = 0
        self._renewed_at = float("-inf")
        self._seen: tuple[int, float] | None = None

    @property
    def held(self) -> bool:
        """Whether this process held it when it last looked, recently enough."""
        return self._revision > 0 and time.monotonic() - self._renewed_at < EXPIRES_S

    async def hold(self) -> bool:
        """Take or renew the lease; call it again and again. Tells whether it is held.

        Raises:
            UnavailableError: The bus does not answer; the lease may be lost.
        """
        if self._revision and time.monotonic() - self._renewed_at < RENEW_S:
            return True
        bucket = await self._bus.kv(BUCKET)
        asked_at = time.monotonic()
        try:
            with translated(f"lease {self._key}"):
                taken = await (self._renew(bucket) if self._revision else self._take(bucket))
        except ConflictError:
            taken = 0
        self._revision = taken
        if taken:
            self._renewed_at = asked_at
        return taken > 0

    async def _renew(self, bucket: KeyValue) -> int:
        return await bucket.update(self._key, self._holder, last=self._revision)

    async def _take(self, bucket: KeyValue) -> int:
        try:
            entry = await bucket.get(self._key)
        except js_errors.KeyNotFoundError:
            self._seen = None
            return await bucket.create(self._key, self._holder)
        revision, now = entry.revision or 0, time.monotonic()
        if self._seen is None or self._seen[0] != revision:
            self._seen = (revision, now)
            return 0
        if now - self._seen[1] < EXPIRES_S:
            return 0
        return await bucket.update(self._key, self._holder, last=revision)

    async def release(self) -> None:
        """Give it up at once, so that another need not wait; silent when the bus is away."""
        if not self.held:
            return
        revision, self._revision = self._revision, 0
        with suppress(TwinError, asyncio.TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                bucket = await self._bus.kv(BUCKET)
                with translated(f"lease {self._key}"):
                    await bucket.delete(self._key, last=revision)
