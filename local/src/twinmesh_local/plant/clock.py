"""The plant clock of a tenant: only the replayer writes it, and only forward."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Final, Protocol

from twinmesh_local.plant.retrying import persistently
from twinmesh_sdk.adapters.nats.connection import MeshNats, translated
from twinmesh_sdk.adapters.plant_clock import BUCKET, encode
from twinmesh_sdk.core.errors import NotFoundError, UnavailableError
from twinmesh_sdk.core.times import WALL, PlantTime

SPREAD_S: Final = 0.5
"""Wall time that a jump is given to reach everyone before readings of the new time are sent."""


def wall_us() -> int:
    """Return the wall time in UTC microseconds."""
    return time.time_ns() // 1000


def moved(current: PlantTime | None, *, to_us: int, speed: float, at_wall_us: int) -> PlantTime:
    """Return the clock that stands at `to_us` now, or later if it stood later already.

    Never backward: a clock that is ahead stays where it is, and only its speed changes. A tenant
    whose plant never had a clock gets one, wherever it begins.
    """
    start_us = to_us if current is None else max(to_us, current.at(at_wall_us))
    return PlantTime(p0_us=start_us, speed=speed, w0_us=at_wall_us)


class ClockStore(Protocol):
    """Where the clock is kept, for everyone to follow."""

    async def read(self) -> PlantTime | None:
        """Return the clock in force, None if there is none yet."""
        ...

    async def write(self, clock: PlantTime) -> None:
        """Put a clock in force."""
        ...


class KvClockStore:
    """See `ClockStore`: one key per tenant in the bucket `plant-clock`."""

    def __init__(self, bus: MeshNats, tenant: str) -> None:
        self._bus = bus
        self._tenant = tenant

    async def read(self) -> PlantTime | None:
        """See `ClockStore.read`.

        Raises:
            UnavailableError: The bus stayed away.
        """

        async def get() -> PlantTime | None:
            bucket = await self._bus.kv(BUCKET)
            try:
                with translated("plant clock"):
                    entry = await bucket.get(self._tenant)
            except NotFoundError:
                return None
            value = json.loads(entry.value or b"{}")
            return PlantTime(int(value["p0_us"]), float(value["speed"]), int(value["w0_us"]))

        return await persistently(get)

    async def write(self, clock: PlantTime) -> None:
        """See `ClockStore.write`.

        Raises:
            UnavailableError: The bus stayed away.
        """

        async def put() -> None:
            bucket = await self._bus.kv(BUCKET)
            with translated("plant clock"):
                await bucket.put(self._tenant, encode(clock))

        await persistently(put)


class Pacer:
    """Tells when a row is due, by a pace that is the tenant's clock wherever that can be.

    A replay of what lies in the clock's past (the same recordings a second time) cannot turn the
    clock back: it is paced alike, and its readings arrive late, as they would in a real plant.
    """

    def __init__(self, store: ClockStore, wall: Callable[[], int] = wall_us) -> None:
        self._store = store
        self._wall = wall
        self.pace: PlantTime | None = None
        self.lived = False

    async def _current(self) -> PlantTime | None:
        """Return the clock in force: none means wall time, once the plant has lived in it."""
        return await self._store.read() or (WALL if self.lived else None)

    async def jump(self, to_us: int, *, speed: float, until_us: int | None = None) -> None:
        """Let the pace stand at `to_us` and run at `speed`; the clock too unless it is ahead.

        Args:
            to_us: Plant time of the first row.
            speed: Plant seconds per second.
            until_us: Plant time at which what is paced ends. A clock that is ahead of the first
                row but not of the last runs on from where it stands, at `speed`, and is the pace:
                else rows would come from a future that it never reaches. Without it, a clock that
                is ahead is left alone.
        """
        kept = await self._store.read()
        current = kept or (WALL if self.lived else None)
        now_us = self._wall()
        pace = PlantTime(p0_us=to_us, speed=speed, w0_us=now_us)
        clock = moved(current, to_us=to_us, speed=speed, at_wall_us=now_us)
        overlaps = kept is not None and until_us is not None and clock.p0_us < until_us
        if clock == pace or overlaps:
            pace = clock
            await self._store.write(clock)
            await asyncio.sleep(SPREAD_S)
        self.pace = pace

    async def follow(self) -> None:
        """Let the pace be the clock as it is."""
        self.pace = await self._current() or WALL

    async def set_speed(self, speed: float) -> None:
        """Let the clock run on from where it stands, at `speed`; wall time is left alone."""
        current = await self._store.read()
        if current is not None and current.speed != speed:
            await self._store.write(moved(current, to_us=0, speed=speed, at_wall_us=self._wall()))

    async def catch_up(self, speed: float) -> None:
        """Move the clock forward to wall time, unless it is there already, or is not in use."""
        current = await self._store.read()
        now_us = self._wall()
        if current is not None and current.at(now_us) < now_us:
            await self._store.write(PlantTime(p0_us=now_us, speed=speed, w0_us=now_us))
            await asyncio.sleep(SPREAD_S)

    def due_us(self) -> int:
        """Return up to which plant time rows are due.

        Raises:
            UnavailableError: No pace was set.
        """
        if self.pace is None:
            raise UnavailableError("the pace of the replay was not set")
        return self.pace.at(self._wall())

    async def plant_now_us(self) -> int | None:
        """Return the tenant's plant time; None where it never had one."""
        current = await self._current()
        return None if current is None else current.at(self._wall())
