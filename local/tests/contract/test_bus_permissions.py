"""A credential on the bus may do what it is for, and nothing else."""

import asyncio
import secrets
import threading
from contextlib import suppress

import nats
import nats.errors
import paho.mqtt.client as mqtt
import pytest

from twinmesh_local.catalogue import SERVICES
from twinmesh_local.stores import nats_users
from twinmesh_local.testing import new_tenant
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.core.errors import InvalidInputError

pytestmark = pytest.mark.stack
WAIT_S = 10


@pytest.fixture
async def admin(nats_server):
    client = await nats.connect(**nats_server.options)
    yield client
    await client.close()


@pytest.fixture
async def streams(nats_server):
    async with MeshNats(nats_server.url, user="test", password=nats_server.password) as bus:
        await ensure_streams(bus)


async def connect(server, user, password, **more):
    refusals = asyncio.Queue()
    client = await nats.connect(
        server.url,
        user=user,
        password=password,
        error_cb=refusals.put,
        allow_reconnect=False,
        **more,
    )
    return client, refusals


async def is_refused(client, refusals):
    await client.flush()
    error = await asyncio.wait_for(refusals.get(), WAIT_S)
    return "permissions violation" in str(error).lower()


async def test_a_device_publishes_its_own_raw_subjects_only(nats_server, admin, streams):
    tenant = new_tenant()
    heard = await admin.subscribe(f"raw.{tenant}.>")
    await admin.flush()
    client, refusals = await connect(
        nats_server, *nats_server.enrol_device(tenant=tenant, source="plc")
    )

    await client.publish(f"raw.{tenant}.plc.p1.flow", b"{}")
    await client.flush()
    assert (await heard.next_msg(timeout=WAIT_S)).subject == f"raw.{tenant}.plc.p1.flow"

    for subject in (
        f"raw.{tenant}.other.p1.flow",
        "raw.acme.plc.p1.flow",
        f"tele.{tenant}.0",
        f"tm.{tenant}.telemetry.reading.stored.v1",
        "$KV.contracts.active.telemetry",
        "$JS.API.STREAM.INFO.RAW",
        "quarantine.x",
    ):
        await client.publish(subject, b"x")
        assert await is_refused(client, refusals), subject
    for subject in (f"raw.{tenant}.>", "tm.>", "_INBOX.>", ">"):
        await client.subscribe(subject)
        assert await is_refused(client, refusals), subject
    await client.close()


async def test_an_event_reader_hears_its_tenant_and_sends_nothing(nats_server, admin):
    mine, other = new_tenant(), new_tenant()
    user, password = nats_server.enrol_reader(tenant=mine)
    client, refusals = await connect(
        nats_server, user, password, inbox_prefix=f"_INBOX_{user}".encode()
    )
    heard = await client.subscribe(f"tm.{mine}.>")
    await client.flush()
    await admin.publish(f"tm.{other}.a.b.c.v1", b"theirs")
    await admin.publish(f"tm.{mine}.a.b.c.v1", b"ours")

    assert (await heard.next_msg(timeout=WAIT_S)).data == b"ours"
    for subject in (f"tm.{other}.>", "tm.>", f"raw.{mine}.>", f"tele.{mine}.>", "_INBOX.>"):
        await client.subscribe(subject)
        assert await is_refused(client, refusals), subject
    for subject in (f"tm.{mine}.a.b.c.v1", "$JS.API.STREAM.NAMES", f"raw.{mine}.x.y.z"):
        await client.publish(subject, b"x")
        assert await is_refused(client, refusals), subject
    await client.close()


@pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)
async def test_a_service_opens_the_mesh_and_cannot_speak_for_another(nats_server, streams, service):
    password = secrets.token_hex(8)
    user = nats_users.service(
        f"svc-{service.name}",
        password,
        domains=["own"],
        streams=service.streams,
        publish=service.publish,
    )
    nats_server.store.enrol(lambda _generated: user)
    client, refusals = await connect(nats_server, user.name, password)
    jetstream = client.jetstream(timeout=WAIT_S)
    for stream in service.streams:
        await jetstream.stream_info(stream)
        consumer = await jetstream.pull_subscribe(
            stream=stream, durable=f"t-{service.name}", subject=""
        )
        with suppress(nats.errors.TimeoutError):
            await consumer.fetch(1, timeout=0.2)
    await (await jetstream.key_value("leases")).put(f"test.{service.name}", b"1")
    await jetstream.publish(f"tm.{new_tenant()}.own.thing.happened.v1", b"x")
    await jetstream.publish(f"use.{new_tenant()}.{service.name}", b"x")

    forbidden = ["tm.acme.foreign.thing.happened.v1", "$KV.plant-clock.acme", "quarantine.other.x"]
    forbidden += ["$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.RAW", "use.acme.other"]
    if service.name != "governance":
        forbidden += [
            "$JS.API.CONSUMER.CREATE.USE.x",
            "$KV.contracts.active.x",
            "$KV.models.active.x",
            "$O.bundles.M.x",
        ]
    if service.name != "telemetry":
        forbidden += ["tele.acme.0", "raw.acme.plc.p.s", "$JS.API.CONSUMER.CREATE.RAW.x"]
    for subject in forbidden:
        await client.publish(subject, b"x")
        assert await is_refused(client, refusals), subject
    await client.close()


def test_a_device_publishes_over_mqtt_and_hears_nothing(nats_server):
    tenant = new_tenant()
    user, password = nats_server.enrol_device(tenant=tenant, source="plc")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"c-{tenant}")
    client.username_pw_set(user, password)
    subscribed, codes = threading.Event(), []
    client.on_subscribe = lambda *a: (codes.extend(a[3]), subscribed.set())
    client.connect("127.0.0.1", nats_server.mqtt_port)
    client.loop_start()
    try:
        client.publish(f"raw/{tenant}/plc/p1/flow", b"{}", qos=1).wait_for_publish(WAIT_S)
        client.subscribe("raw/#", qos=0)
        assert subscribed.wait(WAIT_S)
        assert all(code.is_failure for code in codes)
    finally:
        client.disconnect()
        client.loop_stop()


def test_mqtt_needs_the_right_password(nats_server):
    user, _ = nats_server.enrol_device(tenant=new_tenant(), source="plc")
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="intruder")
    client.username_pw_set(user, "wrong")
    answered, codes = threading.Event(), []
    client.on_connect = lambda *a: (codes.append(a[3]), answered.set())
    client.connect("127.0.0.1", nats_server.mqtt_port)
    client.loop_start()
    try:
        assert answered.wait(WAIT_S)
        assert codes[0].is_failure
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_credential_enrolled_twice_is_the_same(nats_server):
    tenant = new_tenant()

    first = nats_server.enrol_device(tenant=tenant, source="plc")

    assert nats_server.enrol_device(tenant=tenant, source="plc") == first


@pytest.mark.parametrize(
    ("tenant", "source"),
    [
        ("a.b", "p"),
        ("acme", "a.b"),
        ("acme", "*"),
        ("acme", ">"),
        ("ACME", "p"),
        ("", "p"),
        ("a", ""),
    ],
)
def test_what_cannot_be_part_of_a_subject_is_refused(nats_server, tenant, source):
    with pytest.raises(InvalidInputError):
        nats_server.enrol_device(tenant=tenant, source=source)
