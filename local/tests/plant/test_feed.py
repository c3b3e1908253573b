"""Devices over a real server's MQTT door."""

import asyncio
import json
import time

import nats
import numpy as np
from nats.js.api import StreamConfig

from twinmesh_local.plant.clock import KvClockStore, Pacer, moved, wall_us
from twinmesh_local.plant.model import Track
from twinmesh_local.plant.mqtt import MqttAddress, MqttFeed
from twinmesh_local.plant.pacing import Cursor, Sender
from twinmesh_sdk.adapters.nats.connection import MeshNats
from twinmesh_sdk.core.times import PlantTime

TENANT, SOURCE = "acme", "rig-1"


def feed_of(server):
    user, password = server.enrol_device(tenant=TENANT, source=SOURCE)
    address = MqttAddress("127.0.0.1", server.mqtt_port, user, password)
    return MqttFeed(address, tenant=TENANT, source=SOURCE, clock=time.monotonic)


async def make_stream(server):
    bus = await nats.connect(**server.options)
    js = bus.jetstream()
    await js.add_stream(StreamConfig(name="RAW", subjects=["raw.>"]))
    await js.create_key_value(bucket="plant-clock")
    await bus.close()


async def stored(server):
    """Return every stored message as (subject, payload), in order."""
    bus = await nats.connect(**server.options)
    js = bus.jetstream()
    info = await js.stream_info("RAW")
    found = []
    subscription = await js.subscribe("raw.>", ordered_consumer=True)
    for _ in range(info.state.messages):
        message = await subscription.next_msg(timeout=5)
        found.append((message.subject, json.loads(message.data)))
    await bus.close()
    return found


def track_of(rows, *, start_us=1_600_000_000_000_000):
    return Track(
        source=SOURCE,
        device="P-101",
        signals=("flow", "power"),
        stamps=start_us + np.arange(rows, dtype=np.int64) * 1_000_000,
        values=np.column_stack([np.arange(rows) * 1.0, np.arange(rows) * 2.0]),
        zoned=True,
    )


async def test_what_a_device_publishes_arrives_under_its_names_and_in_order(private_nats):
    await make_stream(private_nats)
    feed = feed_of(private_nats)
    for signal, payload in Cursor(track_of(50), after_us=None).take(2**62):
        await feed.publish("P-101", signal, payload)
    await feed.settle()
    await feed.close()
    found = await stored(private_nats)
    assert {subject for subject, _ in found} == {
        f"raw.{TENANT}.{SOURCE}.P-101.flow",
        f"raw.{TENANT}.{SOURCE}.P-101.power",
    }
    flows = [body for subject, body in found if subject.endswith("flow")]
    assert [body["seq"] for body in flows] == list(range(50))
    assert flows[3] == {
        "ts": "2020-09-13T12:26:43.000000Z", "value": 3.0, "quality": "Good", "seq": 3,
    }  # fmt: skip


async def test_killing_the_server_loses_nothing_and_keeps_the_order(private_nats):
    await make_stream(private_nats)
    feed = feed_of(private_nats)
    messages = Cursor(track_of(3000), after_us=None).take(2**62)

    async def publish():
        for number, (signal, payload) in enumerate(messages):
            await feed.publish("P-101", signal, payload)
            if number % 50 == 0:
                await asyncio.sleep(0.01)

    async def disturb():
        for _ in range(2):
            await asyncio.sleep(0.3)
            private_nats.server.kill()
            await asyncio.to_thread(private_nats.server.restart)

    await asyncio.gather(publish(), disturb())
    await feed.settle()
    await feed.close()
    found = await stored(private_nats)
    for signal in ("flow", "power"):
        sequences = [body["seq"] for subject, body in found if subject.endswith(signal)]
        firsts = list(dict.fromkeys(sequences))
        assert firsts == list(range(3000)), "each once in order, repeats apart"
    assert feed.resent > 0


async def test_a_credential_publishes_nothing_of_another_source(private_nats):
    await make_stream(private_nats)
    user, password = private_nats.enrol_device(tenant=TENANT, source="other")
    address = MqttAddress("127.0.0.1", private_nats.mqtt_port, user, password)
    feed = MqttFeed(address, tenant=TENANT, source=SOURCE, clock=time.monotonic)
    await feed.publish("P-101", "flow", b"{}")
    await asyncio.sleep(0.3)
    await feed.close()
    assert await stored(private_nats) == []


async def test_rows_are_sent_when_the_plant_clock_says_so(private_nats):
    await make_stream(private_nats)
    track = track_of(100)
    start_us, end_us = int(track.stamps[0]), int(track.stamps[-1])
    reports = []
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password
    ) as bus:
        store = KvClockStore(bus, TENANT)
        pacer = Pacer(store)
        await pacer.jump(start_us, speed=100.0)
        feed = feed_of(private_nats)
        sender = Sender(
            {SOURCE: feed}, pacer, lambda through, sent: reports.append((through, sent))
        )
        began_us = wall_us()
        await sender.send([track], start_us=start_us, end_us=end_us, after_us=None)
        clock = await store.read()
        assert clock.speed == 100.0
        assert clock.at(wall_us()) >= end_us
        assert clock.at(began_us) < end_us
        await sender.settle()
        await feed.close()
    assert sum(sent for _, sent in reports) == 200
    assert len(await stored(private_nats)) == 200


async def test_a_restart_goes_on_after_what_surely_arrived(private_nats):
    await make_stream(private_nats)
    track = track_of(60)
    after_us = int(track.stamps[39])
    feed = feed_of(private_nats)
    pacer = Pacer(KvClockStore(None, TENANT))
    pacer.pace = PlantTime(p0_us=int(track.stamps[0]), speed=3600.0, w0_us=wall_us() - 10**6)
    sender = Sender({SOURCE: feed}, pacer, lambda *_: None)
    await sender.send(
        [track], start_us=int(track.stamps[0]), end_us=int(track.stamps[-1]), after_us=after_us
    )
    await sender.settle()
    await feed.close()
    sequences = [body["seq"] for subject, body in await stored(private_nats)]
    assert sorted(set(sequences)) == list(range(40, 60))


def test_the_clock_never_goes_back():
    first = moved(None, to_us=1_000, speed=2.0, at_wall_us=500)
    assert first.at(500) == 1_000
    second = moved(first, to_us=10, speed=300.0, at_wall_us=1_500)
    assert second.at(1_500) == first.at(1_500)
    assert second.speed == 300.0
    third = moved(second, to_us=10**9, speed=1.0, at_wall_us=2_000)
    assert third.at(2_000) == 10**9
