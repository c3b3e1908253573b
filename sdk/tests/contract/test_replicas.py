"""A process tells which model versions it runs, and withdraws, by a heartbeat that ends with it."""

import asyncio
import json
from datetime import timedelta

import pytest

from twinmesh_sdk.adapters.nats import KvMirror, ModelSnapshot, ReplicaHeartbeat
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import format_time

ACME = Tenant("acme")


def version(number, since, until):
    return {
        "name": "judge",
        "version": number,
        "digest": "sha256:00",
        "effective_from": since and format_time(since),
        "effective_to": until and format_time(until),
    }


@pytest.fixture
async def models(bus, clock):
    switch = clock.plant_now(ACME) + timedelta(hours=1)
    schedule = {"versions": [version("1.0.0", None, switch), version("2.0.0", switch, None)]}
    await (await bus.kv("models")).put("schedule.judge", json.dumps(schedule).encode())
    mirror = KvMirror(bus, "models")
    following = asyncio.create_task(mirror.run())
    await mirror.wait_synced()
    yield ModelSnapshot(mirror)
    following.cancel()


@pytest.fixture
def replica(bus, clock, models):
    async def tenants():
        return [ACME]

    made = ReplicaHeartbeat(bus, models, clock, service="judge-twin")
    made.runs("judge", tenants)
    return made


async def said(bus, replica):
    entry = await (await bus.kv("replicas")).get(f"judge-twin.{replica.instance}")
    return json.loads(entry.value)["models"]["judge"]


async def test_what_runs_follows_plant_time(bus, clock, replica):
    await replica.announce()
    before = (await said(bus, replica))["running"]["acme"]
    clock.advance(3600)
    await replica.announce()
    after = (await said(bus, replica))["running"]["acme"]

    assert (before["versions"], after["versions"]) == (["1.0.0"], ["2.0.0"])
    assert after["plant_at"] == format_time(clock.plant_now(ACME))


async def test_a_withdrawal_is_told_at_once(bus, replica):
    await replica.withdrawn("judge", "1.0.0")

    assert (await said(bus, replica))["withdrawn"] == ["1.0.0"]


async def test_a_change_of_the_schedule_is_told_without_waiting(bus, clock, models, replica):
    telling = asyncio.create_task(replica.run())
    try:
        schedule = {"versions": [version("3.0.0", None, None)]}
        await (await bus.kv("models")).put("schedule.judge", json.dumps(schedule).encode())
        running, until = {}, asyncio.get_running_loop().time() + 4.0
        while running.get("versions") != ["3.0.0"] and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
            running = (await said(bus, replica))["running"]["acme"]
    finally:
        telling.cancel()
    assert running["versions"] == ["3.0.0"]


async def test_a_process_that_ends_is_heard_no_more(bus, replica):
    await replica.announce()
    await replica.close()

    mirror = KvMirror(bus, "replicas")
    following = asyncio.create_task(mirror.run())
    await mirror.wait_synced()
    following.cancel()
    assert not mirror.values
