"""A key-value bucket held in memory, and kept while the bus is away."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from nats import errors as nats_errors
from nats.js.kv import KeyValue

from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.core.errors import TwinError

log = logging.getLogger(__name__)

REWATCH_S: Final = 60.0
RETRY_S: Final = 1.0
MAX_KEYS: Final = 50_000


class KvMirror:
    """Follows a bucket. Reads answer at once from the last copy, however old.

    The watch is begun anew after every reconnection and once a minute, because a restarted server
    forgets its watchers.
    """

    def __init__(self, bus: MeshNats, bucket: str) -> None:
        self._bus = bus
        self._bucket = bucket
        self._values: dict[str, bytes] = {}
        self._synced = asyncio.Event()
        self._again = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        bus.on_reconnect(self._again.set)

    @property
    def synced(self) -> bool:
        """Whether the bucket was read whole at least once."""
        return self._synced.is_set()

    @property
    def values(self) -> Mapping[str, bytes]:
        """All entries as last seen."""
        return self._values

    def get(self, key: str) -> bytes | None:
        """Return an entry as last seen; None when there is none."""
        return self._values.get(key)

    def under(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield the entries whose key begins with `prefix`, without it."""
        for key, value in self._values.items():
            if key.startswith(prefix):
                yield key[len(prefix) :], value

    def on_change(self, call: Callable[[], None]) -> None:
        """Call `call` after every change, and after the first reading."""
        self._listeners.append(call)

    async def wait_synced(self) -> None:
        """Wait until the bucket was read whole once."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the bucket until cancelled."""
        while True:
            try:
                await self._follow(await self._bus.kv(self._bucket))
            except (TimeoutError, TwinError, nats_errors.Error, OSError) as error:
                log.warning(
                    "bucket cannot be watched", extra={"bucket": self._bucket, "error": repr(error)}
                )
                await asyncio.sleep(RETRY_S)

    async def _follow(self, bucket: KeyValue) -> None:
        """Read the bucket whole, then follow it until it is time to begin anew."""
        self._again.clear()
        loop = asyncio.get_running_loop()
        until = loop.time() + REWATCH_S
        watcher = await bucket.watchall()
        updates: Any = watcher.updates  # untyped in nats-py, as is stop
        stop: Any = watcher.stop
        try:
            fresh: dict[str, bytes] | None = {}
            again = asyncio.ensure_future(self._again.wait())
            try:
                while (left := until - loop.time()) > 0 and not again.done():
                    update = asyncio.ensure_future(updates(timeout=left))
                    await asyncio.wait({update, again}, return_when=asyncio.FIRST_COMPLETED)
                    if not update.done():
                        update.cancel()
                        with suppress(asyncio.CancelledError, nats_errors.Error):
                            await update
                        return
                    fresh = self._take(update, fresh)
            finally:
                again.cancel()
        finally:
            with suppress(nats_errors.Error, OSError):
                await stop()

    def _take(
        self, update: "asyncio.Future[KeyValue.Entry | None]", fresh: dict[str, bytes] | None
    ) -> dict[str, bytes] | None:
        """Apply one update; returns the copy being filled, None once it is complete."""
        try:
            entry = update.result()
        except nats_errors.TimeoutError:
            return fresh
        if entry is None:
            if fresh is not None and (fresh != self._values or not self.synced):
                self._values = fresh
                self._changed()
            self._synced.set()
            return None
        values = self._values if fresh is None else fresh
        if entry.operation in {"DEL", "PURGE"}:
            values.pop(entry.key, None)
        elif len(values) < MAX_KEYS or entry.key in values:
            values[entry.key] = entry.value or b""
        else:
            log.error("bucket holds too many keys", extra={"bucket": self._bucket})
        if fresh is None:
            self._changed()
        return fresh

    def _changed(self) -> None:
        for call in self._listeners:
            call()
