"""What each process runs: told to governance by a heartbeat in a bucket that forgets."""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from twinmesh_sdk.adapters.nats.connection import MeshNats, translated
from twinmesh_sdk.adapters.nats.snapshots import ModelSnapshot
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

REPLICAS: Final = "replicas"
HEARTBEAT_S: Final = 5.0
GOODBYE_S: Final = 1.0
MAX_TENANTS: Final = 200

Tenants = Callable[[], Awaitable[Sequence[Tenant]]]


class ReplicaHeartbeat:
    """Announces which model versions this process runs, and which it has withdrawn.

    Args:
        service: Its name; several processes share it.
    """

    def __init__(self, bus: MeshNats, models: ModelSnapshot, clock: Clock, *, service: str) -> None:
        self._bus = bus
        self._models = models
        self._clock = clock
        self._service = service
        self.instance = uuid.uuid4().hex[:16]
        self._tenants: dict[str, Tenants] = {}
        self._withdrawn: dict[str, set[str]] = {}
        self._now = asyncio.Event()
        models.on_change(self._now.set)

    def runs(self, name: str, tenants: Tenants) -> None:
        """Announce a model from now on.

        Args:
            tenants: Returns for whom it decides.
        """
        self._tenants[name] = tenants

    @property
    def busy(self) -> bool:
        """Whether there is anything to announce."""
        return bool(self._tenants)

    async def withdrawn(self, name: str, version: str) -> None:
        """Announce at once that a version decides nothing more here, and never will.

        Raises:
            UnavailableError: The bus does not answer; the next heartbeat says it.
        """
        self._withdrawn.setdefault(name, set()).add(version)
        await self.announce()

    async def run(self) -> None:
        """Announce every HEARTBEAT_S, and when what is released changes, until cancelled."""
        while True:
            self._now.clear()
            try:
                await self.announce()
            except TwinError as error:
                log.warning("heartbeat is not announced", extra={"error": str(error)})
            with suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), HEARTBEAT_S)

    async def announce(self) -> None:
        """Announce what runs at this moment.

        Raises:
            UnavailableError: The bus, or who knows the tenants, does not answer.
        """
        said = {
            "service": self._service,
            "instance": self.instance,
            "at": format_time(self._clock.wall_now()),
            "models": {name: await self._model(name) for name in sorted(self._tenants)},
        }
        bucket = await self._bus.kv(REPLICAS)
        with translated("heartbeat"):
            await bucket.put(self._key, json.dumps(said).encode())

    async def close(self) -> None:
        """Take the announcement back, as far as that is quick."""
        with suppress(TwinError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                bucket = await self._bus.kv(REPLICAS)
                with translated("heartbeat"):
                    await bucket.delete(self._key)

    @property
    def _key(self) -> str:
        return f"{self._service}.{self.instance}"

    async def _model(self, name: str) -> dict[str, Any]:
        running = {}
        for tenant in (await self._tenants[name]())[:MAX_TENANTS]:
            now = self._clock.plant_now(tenant)
            versions = {
                m.version
                for m in self._models.schedule(name)
                if (m.effective_from is None or m.effective_from <= now)
                and (m.effective_to is None or now < m.effective_to)
            }
            running[str(tenant)] = {"plant_at": format_time(now), "versions": sorted(versions)}
        return {"running": running, "withdrawn": sorted(self._withdrawn.get(name, ()))}
