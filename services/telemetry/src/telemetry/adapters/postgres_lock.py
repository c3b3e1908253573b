"""One process of several works the raw stream off: a lock that ends with its connection."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from twinmesh_sdk.adapters.postgres import translated
from twinmesh_sdk.core.errors import TwinError

log = logging.getLogger(__name__)

POLL_S: Final = 0.5

Work = Callable[[], Awaitable[None]]


def only_one(engine: AsyncEngine, name: str) -> "Singleton":
    """Return the lock of that name in the service's database."""
    return Singleton(engine, name)


class Singleton:
    """A session's advisory lock. A killed process loses it at once, with its connection.

    It saves work, not correctness: two that believe to hold it meet at the ledger's cursor, which
    only one of them moves.
    """

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine
        self._key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        self._name = name
        self._held = asyncio.Event()
        self._free = asyncio.Event()

    def holding(self, work: Work) -> Work:
        """Return `work`, done while the lock is held, and begun again whenever it fails.

        It is cancelled when the lock is lost.
        """

        async def locked() -> None:
            while True:
                try:
                    await self._hold(work)
                except TwinError as error:
                    log.warning("work waits", extra={"lock": self._name, "error": str(error)})
                await asyncio.sleep(POLL_S)

        return locked

    def beside(self, work: Work) -> Work:
        """Return `work`, done while this process holds the lock, and begun again when it fails."""

        async def when_held() -> None:
            while True:
                await self._held.wait()
                try:
                    await _race(work, self._lost)
                except TwinError as error:
                    log.warning("work waits", extra={"lock": self._name, "error": str(error)})
                    await asyncio.sleep(POLL_S)

        return when_held

    async def _hold(self, work: Work) -> None:
        with translated("database"):
            async with self._engine.connect() as connection:
                try:
                    await self._acquire(connection)
                    self._free.clear()
                    self._held.set()
                    await self._while_held(connection, work)
                finally:
                    self._held.clear()
                    self._free.set()
                    # Back in the pool the connection would keep the lock.
                    await connection.invalidate()

    async def _acquire(self, connection: AsyncConnection) -> None:
        query = sa.select(sa.func.pg_try_advisory_lock(self._key))
        while not (await connection.execute(query)).scalar_one():
            await connection.commit()
            await asyncio.sleep(POLL_S)
        await connection.commit()

    async def _while_held(self, connection: AsyncConnection, work: Work) -> None:
        async def watch() -> None:
            while True:
                await asyncio.sleep(POLL_S * 4)
                await connection.execute(sa.select(1))
                await connection.commit()

        await _race(work, watch)

    async def _lost(self) -> None:
        await self._free.wait()


async def _race(one: Work, other: Work) -> None:
    """Await whichever ends first, cancel the other, and raise what the first one raised."""
    tasks = [asyncio.ensure_future(one()), asyncio.ensure_future(other())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
