"""A twin in a test: settings, registration as governance would do it, running it in process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from twinmesh_sdk.adapters.nats import MeshNats
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.runtime.service import TwinService
from twinmesh_sdk.runtime.settings import TwinSettings
from twinmesh_sdk.testing.servers import SERVICE_CLIENT, SERVICE_SECRET

READY_S: Final = 20.0
STOP_S: Final = 8.0

S = TypeVar("S", bound=TwinSettings)


def settings_for(kind: type[S], *, nats_url: str, issuer: str, **more: Any) -> S:  # noqa: ANN401 - fields
    """Return settings of a twin on free ports."""
    return kind(
        **{
            "http_port": 0,
            "grpc_port": 0,
            "nats_url": nats_url,
            "oidc_issuer": issuer,
            "client_id": SERVICE_CLIENT,
            "client_secret": SERVICE_SECRET,
            **more,
        }
    )


async def register(bus: MeshNats, contract: Contract, *, state: str = "ACTIVE") -> None:
    """Put a contract in force, with the entries that governance would write."""
    bucket = await bus.kv("contracts")
    entry = {
        "service": contract.service,
        "version": contract.version,
        "digest": contract.digest,
        "state": state,
        "accepted": [contract.digest] if state == "ACTIVE" else [],
        "subgraph": None,
        "pushed_at": "2026-01-05T08:00:00.000000Z",
    }
    await bucket.put(f"active.{contract.service}", json.dumps(entry).encode())
    for kind, schema in contract.event_schemas.items():
        event = {
            "type": kind,
            "message": schema.message,
            "digests": [schema.digest],
            "service": contract.service,
            "status": "ACTIVE",
        }
        await bucket.put(f"event.{kind}", json.dumps(event).encode())


@asynccontextmanager
async def running(service: TwinService, *, ready: bool = True) -> AsyncIterator[TwinService]:
    """Run a twin, and stop it afterwards.

    Args:
        ready: Wait until it reports ready; otherwise only until its doors are open.

    Raises:
        UnavailableError: It is not in time; the message carries the report of its probes.
    """
    task = asyncio.create_task(service.run())
    until = time.monotonic() + READY_S
    try:
        while not (await service.probes.ready() if ready else service.probes.open):
            if task.done():
                await task
            if time.monotonic() > until:
                raise UnavailableError(f"not ready: {await service.probes.report()}")
            await asyncio.sleep(0.02)
        yield service
    finally:
        service.stop()
        await asyncio.wait_for(task, STOP_S)
