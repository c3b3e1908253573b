"""Background loops survive crashes; readiness names what is missing."""

import asyncio
import time

from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.runtime.loop_lag import watch_loop
from twinmesh_sdk.runtime.probes import Probes
from twinmesh_sdk.runtime.workers import Workers


async def test_a_loop_that_crashes_is_started_again():
    runs = []

    async def loop():
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("bug") if len(runs) == 1 else UnavailableError("away")

    workers = Workers(stop=lambda: None, first_pause_s=0.001)
    workers.add("loop", loop)
    await asyncio.wait_for(workers.run(), 10)

    assert len(runs) == 3
    assert workers.failure is None


async def test_a_loop_that_keeps_crashing_stops_the_service():
    stopped = []

    async def loop():
        raise RuntimeError("bug")

    workers = Workers(stop=lambda: stopped.append(True), first_pause_s=0.0)
    workers.add("loop", loop)
    await asyncio.wait_for(workers.run(), 10)

    assert stopped == [True]
    assert "keeps crashing" in str(workers.failure)


async def test_computing_too_long_in_one_go_is_told(caplog):
    watching = asyncio.create_task(watch_loop())
    await asyncio.sleep(0)
    until = time.monotonic() + 1.7
    while time.monotonic() < until:
        pass
    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.01)
    watching.cancel()

    (record,) = caplog.records
    assert record.message == "event loop was held up"
    assert record.lag_s > 1.0


async def test_readiness_names_what_is_not_there():
    probes = Probes()

    async def fine():
        return None

    async def away():
        raise UnavailableError("store is away")

    probes.add("bus", fine)
    probes.add("store", away)
    probes.open = True

    assert await probes.report() == {
        "bus": "ok",
        "store": "UNAVAILABLE: store is away",
        "doors": "ok",
    }
    assert not await probes.ready()
    probes.add("store", fine)
    assert await probes.ready()
    probes.stopping = True
    assert not await probes.ready()
