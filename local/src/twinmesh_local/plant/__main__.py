"""`python -m twinmesh_local.plant`: the plant as a process of the local stack."""

import asyncio
import json
import logging
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import httpx

from twinmesh_local.plant import feeding, journal, plan, simulator
from twinmesh_local.plant.backfill import BackfillDoor
from twinmesh_local.plant.clock import KvClockStore, Pacer, wall_us
from twinmesh_local.plant.feeding import Begin, Doors, PlantRun
from twinmesh_local.plant.identity import TokenSource
from twinmesh_local.plant.importing import ImportDoor
from twinmesh_local.plant.mqtt import MqttAddress, MqttFeed
from twinmesh_local.plant.plan import Recordings
from twinmesh_local.plant.settings import PlantSettings
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.core.errors import InvalidInputError, TwinError, UnavailableError

log = logging.getLogger("twinmesh_local.plant")


def credentials(path: Path, sources: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Return MQTT user and password per source.

    Raises:
        InvalidInputError: A source has none.
    """
    try:
        known = json.loads(path.read_text())
        return {each: (known[each]["user"], known[each]["password"]) for each in sources}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidInputError(f"no MQTT credential for each of {', '.join(sources)}") from error


def recordings(settings: PlantSettings) -> Recordings:
    """Read the recordings, if there are any to replay."""
    if settings.plant_data is None:
        return feeding.empty_recordings()
    if not settings.plant_data.is_dir():
        raise InvalidInputError(f"{settings.plant_data} is no folder")
    return plan.read_recordings(settings.plant_data)


async def run(settings: PlantSettings) -> None:
    """Feed the mesh until told to stop."""
    recorded = await asyncio.to_thread(recordings, settings)
    sources = (*recorded.mqtt_sources, simulator.SOURCE)
    users = credentials(settings.plant_credentials, sources)
    last = journal.load(settings.plant_journal)
    kept = last if last is not None and last.run == settings.plant_run else None
    state = kept or feeding.new_journal(settings.plant_run, seed=settings.plant_seed, last=last)
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(
            MeshNats(
                settings.nats_url,
                user=settings.nats_user,
                password=settings.nats_password.get_secret_value(),
                name="plant",
            )
        )
        http = await stack.enter_async_context(httpx.AsyncClient())
        tokens = TokenSource(
            http,
            url=settings.oidc_token_url,
            client=settings.client_id,
            secret=settings.client_secret.get_secret_value(),
        )
        feeds = {
            source: MqttFeed(
                MqttAddress(settings.mqtt_host, settings.mqtt_port, *users[source]),
                tenant=settings.plant_tenant,
                source=source,
                clock=time.monotonic,
            )
            for source in sources
        }
        for feed in feeds.values():
            stack.push_async_callback(feed.close)
        registry = ImportDoor(settings.assets_addr, tokens)
        stack.push_async_callback(registry.close)
        pacer = Pacer(KvClockStore(bus, settings.plant_tenant))
        pacer.lived = state.lived
        doors = Doors(
            feeds=feeds,
            backfill=BackfillDoor(http, url=settings.telemetry_url, tokens=tokens),
            registry=registry,
            pacer=pacer,
        )
        plant = PlantRun(
            doors,
            recorded,
            state,
            path=settings.plant_journal,
            speed=settings.plant_speed,
            wall=wall_us,
        )
        await feeding.opened(settings.plant_gate)
        await _feed(plant, mode=settings.plant_mode)


_FIRST: Final = {"live": None, "intro": Begin.ENDING_NOW, "once": Begin.REPRODUCIBLE}


async def _feed(plant: PlantRun, *, mode: str) -> None:
    try:
        await plant.replay(first=_FIRST[mode])
        if mode != "once":
            await plant.live()
        plant.finish()
    except UnavailableError:
        raise  # the supervisor starts us again, and the journal says where to go on
    except TwinError as error:
        # Told to whoever reads the journal; a restart would only meet the same refusal.
        log.error("the plant stopped feeding: %s", error)
        plant.fail(str(error))
    await feeding.idle()


async def _until_told(settings: PlantSettings) -> None:
    task = asyncio.create_task(run(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        log.info("the plant stops")


def main() -> int:
    """Run as a process."""
    settings = PlantSettings()
    logging.basicConfig(
        level=settings.log_level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        asyncio.run(_until_told(settings))
    except TwinError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
