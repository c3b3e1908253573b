"""Events out and in, on a real server: registered ones arrive once, others are told apart."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from twinmesh.core.v1 import trust_pb2
from twinmesh.governance.v1 import consumption_pb2
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats import (
    ConsumptionReporter,
    ContractSnapshot,
    EventConsumer,
    EventPublisher,
    KvMirror,
    MeshNats,
    OutboxRelay,
    ensure_streams,
)
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.adapters.nats.lease import Lease
from twinmesh_sdk.adapters.plant_clock import PlantClock, encode
from twinmesh_sdk.contract import Contract, descriptor_set
from twinmesh_sdk.core.consumption import Derivation, Output, OutputState
from twinmesh_sdk.core.errors import (
    InvalidInputError,
    PreconditionFailedError,
    UnavailableError,
)
from twinmesh_sdk.core.events import Envelope, EventType, event_id, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.request import current_read_time, current_tenant
from twinmesh_sdk.core.times import PlantTime, to_us
from twinmesh_sdk.ports.outbox import OutboxEntry
from twinmesh_sdk.testing.clock import START
from twinmesh_sdk.testing.mesh import register

TYPE = EventType("test.trust.changed.v1")
ACME = Tenant("acme")
SECONDS = 15.0


def contract_with(message="twinmesh.core.v1.Trust"):
    charter = {
        "name": "tester",
        "version": "1.0.0",
        "kind": "foundation",
        "contract": {"events": [{"type": TYPE, "message": message}], "consumes": [TYPE]},
    }
    return Contract.of(charter, "", descriptor_set(["twinmesh.core.v1"]))


CONTRACT = contract_with()


def event(version=1, *, tenant=ACME, data=b"", type=TYPE):
    return Envelope(
        id=event_id(tenant=tenant, type=type, aggregate_id="a", aggregate_version=version),
        type=type,
        source="tester",
        tenant=tenant,
        subject="a",
        time=START,
        data=data or trust_pb2.Trust(decision="trip").SerializeToString(),
    )


async def eventually(condition):
    """Wait until `condition()` holds; fails the test when it does not in time."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - what it waits for is in another process
            await asyncio.sleep(0.01)


class Heard:
    """A handler that remembers, and fails as told."""

    event_types = (TYPE,)

    def __init__(self, *failures):
        self.events = []
        self.tenants = []
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, envelope):
        self.calls += 1
        assert current_read_time().now is not None
        if self.failures:
            raise self.failures.pop(0)
        self.tenants.append(current_tenant())
        self.events.append(envelope.id)


class Stuck:
    """A handler that never comes back."""

    event_types = (TYPE,)
    begun = False

    async def __call__(self, envelope):
        self.begun = True
        await asyncio.Event().wait()


class MemoryInbox:
    """Remembers what was handled without a failure."""

    def __init__(self):
        self.known = set()

    @asynccontextmanager
    async def once(self, source, event_id):
        yield (source, event_id) not in self.known
        self.known.add((source, event_id))

    async def forget_old(self):
        return 0


class MemoryOutbox:
    """An outbox that a test fills."""

    def __init__(self, *envelopes):
        self.rows = {str(n): envelope for n, envelope in enumerate(envelopes)}

    async def pending(self, limit):
        return [OutboxEntry(k, e) for k, e in list(self.rows.items())[:limit]]

    async def delete(self, keys):
        for key in keys:
            self.rows.pop(key, None)


class Mesh:
    """What a process holds of the bus."""

    def __init__(self, bus):
        self.bus = bus
        self.mirrors = {b: KvMirror(bus, b) for b in ("contracts", "plant-clock")}
        self.contracts = ContractSnapshot(self.mirrors["contracts"])
        self.clock = PlantClock(self.mirrors["plant-clock"])
        self.publisher = EventPublisher(bus, self.contracts, CONTRACT.event_schemas)

    def consumer(self, handler, inbox=None, consumption=None):
        return EventConsumer(
            bus=self.bus,
            contracts=self.contracts,
            clock=self.clock,
            service="tester",
            event_type=TYPE,
            handler=handler,
            inbox=inbox,
            consumption=consumption,
        )

    async def quarantined(self):
        subscription = await self.bus.js.subscribe(
            "quarantine.>",
            stream="QUARANTINE",
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL),
        )
        message = await subscription.next_msg(timeout=SECONDS)
        await subscription.unsubscribe()
        return message


@pytest.fixture
async def mesh(bus):
    mesh = Mesh(bus)
    async with running(*(m.run() for m in mesh.mirrors.values())):
        for mirror in mesh.mirrors.values():
            await asyncio.wait_for(mirror.wait_synced(), SECONDS)
        yield mesh


@pytest.fixture
async def registered(mesh):
    await register(mesh.bus, CONTRACT)
    await eventually(lambda: mesh.contracts.event_schema(TYPE) is not None)
    return mesh


@asynccontextmanager
async def running(*loops):
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_unregistered_event_is_refused_by_name(mesh):
    with pytest.raises(PreconditionFailedError, match=r"trust\.changed\.v1 is not registered"):
        await mesh.publisher.publish(event())


async def test_an_event_of_another_contract_is_refused(registered):
    with pytest.raises(PreconditionFailedError, match="not declared"):
        await registered.publisher.publish(event(type=EventType("test.other.changed.v1")))


async def test_a_schema_that_differs_from_the_registered_one_is_refused(mesh):
    await register(mesh.bus, contract_with("twinmesh.core.v1.Reason"))
    await eventually(lambda: mesh.contracts.event_schema(TYPE) is not None)

    with pytest.raises(PreconditionFailedError, match="another schema"):
        await mesh.publisher.publish(event())


async def test_a_retired_event_is_refused(registered):
    bucket = await registered.bus.kv("contracts")
    entry = json.loads((await bucket.get(f"event.{TYPE}")).value)
    await bucket.put(f"event.{TYPE}", json.dumps({**entry, "status": "RETIRED"}).encode())
    await eventually(lambda: registered.contracts.event_schema(TYPE).retired)

    with pytest.raises(PreconditionFailedError, match="retired"):
        await registered.publisher.publish(event())


async def test_an_event_arrives_with_its_tenant_and_is_acknowledged(registered):
    heard = Heard()
    await registered.publisher.publish(event(1))
    await registered.publisher.publish(event(2, tenant=Tenant("globex")))

    async with running(registered.consumer(heard).run()):
        await eventually(lambda: len(heard.events) == 2)

    assert sorted(heard.tenants) == ["acme", "globex"]


async def test_an_event_is_handled_in_the_trace_of_its_cause(registered, tmp_path):
    end = tracing.configure(service="tester", version="1", trace_dir=str(tmp_path))
    heard = Heard()
    with tracing.span("cause"):
        trace_id = tracing.trace_id()
        await registered.publisher.publish(event())

    async with running(registered.consumer(heard).run()):
        await eventually(lambda: heard.events)
        await eventually_drained(registered)
    end()

    spans = [json.loads(line) for line in (tmp_path / "tester.jsonl").read_text().splitlines()]
    by_kind = {span["kind"]: span for span in spans if span["trace_id"] == trace_id}
    assert by_kind["CONSUMER"]["parent_id"] == by_kind["PRODUCER"]["span_id"]
    assert by_kind["PRODUCER"]["parent_id"] == by_kind["INTERNAL"]["span_id"]


async def test_one_change_published_twice_is_stored_once(registered):
    await registered.publisher.publish(event())
    await registered.publisher.publish(event())

    assert (await registered.bus.js.stream_info("EVENTS")).state.messages == 1


async def test_an_event_delivered_twice_is_handled_once_with_an_inbox(registered):
    heard, inbox = Heard(), MemoryInbox()
    schema = CONTRACT.event_schemas[TYPE]
    headers = headers_of(event(), dataschema=schema.dataschema, traceparent="")
    for _ in range(2):  # without a message id, as after the duplicate window
        await registered.bus.publish(subject_of(ACME, TYPE), event().data, headers=headers)

    async with running(registered.consumer(heard, inbox).run()):
        await eventually(lambda: len(inbox.known) == 1 and heard.calls == 1)
        await eventually_drained(registered)

    assert heard.calls == 1


async def eventually_drained(mesh):
    async with asyncio.timeout(SECONDS):
        while True:
            info = await mesh.bus.js.consumer_info("EVENTS", "tester-test_trust_changed_v1")
            if info.num_pending == 0 and info.num_ack_pending == 0:
                return
            await asyncio.sleep(0.02)


async def test_an_outage_is_retried_until_it_is_over(registered):
    heard = Heard(UnavailableError("away"), UnavailableError("away"))
    await registered.publisher.publish(event())

    async with running(registered.consumer(heard).run()):
        await eventually(lambda: heard.events)

    assert heard.calls == 3


@pytest.mark.parametrize(("failure", "code"), [(InvalidInputError("bad value é"), "INVALID_INPUT")])
async def test_what_can_never_be_handled_is_put_aside_with_the_reason(registered, failure, code):
    heard = Heard(failure)
    await registered.publisher.publish(event())

    async with running(registered.consumer(heard).run()):
        message = await registered.quarantined()
        await eventually_drained(registered)

    assert message.subject == f"quarantine.tester.acme.{TYPE}"
    assert message.headers["tm-reason-code"] == code
    assert "bad value" in message.headers["tm-reason"].replace("%20", " ")
    assert message.headers["ce-id"] == event().id
    assert message.data == event().data
    assert heard.calls == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ce-dataschema": "twinmesh.core.v1.Trust#0000"}, "PRECONDITION_FAILED"),
        ({"ce-tenant": "globex"}, "INVALID_INPUT"),
        ({"ce-id": ""}, "INVALID_INPUT"),
        ({"ce-time": "yesterday"}, "INVALID_INPUT"),
        ({"ce-specversion": "0.3"}, "INVALID_INPUT"),
    ],
)
async def test_an_event_that_cannot_be_trusted_is_put_aside(registered, change, code):
    heard = Heard()
    schema = CONTRACT.event_schemas[TYPE]
    headers = headers_of(event(), dataschema=schema.dataschema, traceparent="") | change
    await registered.bus.publish(subject_of(ACME, TYPE), b"x", headers=headers)

    async with running(registered.consumer(heard).run()):
        message = await registered.quarantined()

    assert message.headers["tm-reason-code"] == code
    assert heard.calls == 0


async def test_what_a_stopped_process_had_in_hand_is_delivered_elsewhere_at_once(registered):
    stuck = Stuck()
    for version in range(5):
        await registered.publisher.publish(event(version))
    async with running(registered.consumer(stuck).run()):
        await eventually(lambda: stuck.begun)
    heard = Heard()

    async with running(registered.consumer(heard).run()):
        await eventually(lambda: len(heard.events) == 5)

    assert len(set(heard.events)) == 5


async def test_a_bug_does_not_stop_the_events_after_it(registered):
    heard = Heard(RuntimeError("bug"))
    await registered.publisher.publish(event(1))
    await registered.publisher.publish(event(2))

    async with running(registered.consumer(heard).run()):
        await eventually(lambda: len(heard.events) == 2)

    assert set(heard.events) == {event(1).id, event(2).id}


async def test_the_relay_publishes_and_forgets(registered):
    outbox = MemoryOutbox(*(event(n) for n in range(250)))
    relay = OutboxRelay(outbox, registered.publisher, Lease(registered.bus, "relay.tester"))

    async with running(relay.run()):
        await eventually(lambda: not outbox.rows)

    assert (await registered.bus.js.stream_info("EVENTS")).state.messages == 250


async def test_an_unregistered_event_waits_in_the_outbox_until_it_is_registered(mesh):
    outbox = MemoryOutbox(event())
    relay = OutboxRelay(outbox, mesh.publisher, Lease(mesh.bus, "relay.tester"))

    async with running(relay.run()):
        with pytest.raises(PreconditionFailedError):
            mesh.publisher.check(TYPE)
        assert outbox.rows
        await register(mesh.bus, CONTRACT)
        await eventually(lambda: not outbox.rows)


async def test_one_of_two_holds_a_lease_and_the_other_follows_its_release(bus):
    one, two = Lease(bus, "relay.x"), Lease(bus, "relay.x")

    assert await one.hold()
    assert not await two.hold()
    await one.release()
    assert await two.hold()
    assert not await one.hold()


async def test_plant_time_follows_the_bucket_and_is_wall_time_without_an_entry(mesh):
    bucket = await mesh.bus.kv("plant-clock")
    wall_us = to_us(mesh.clock.wall_now())
    await bucket.put("acme", encode(PlantTime(p0_us=to_us(START), speed=60.0, w0_us=wall_us)))
    await eventually(lambda: mesh.clock.speed(ACME) == 60.0)

    assert abs((mesh.clock.plant_now(ACME) - START).total_seconds()) < 60 * SECONDS
    other = Tenant("globex")
    assert abs((mesh.clock.plant_now(other) - mesh.clock.wall_now()).total_seconds()) < SECONDS

    await bucket.put("acme", b"nonsense")
    await bucket.put("probe", b"{}")
    await eventually(lambda: mesh.mirrors["plant-clock"].get("probe") is not None)
    assert mesh.clock.speed(ACME) == 60.0


async def test_a_handled_event_is_a_use_and_a_receipt_of_what_it_announces(registered):
    reporter = ConsumptionReporter(registered.bus, registered.clock, reporter="tester")
    registered.publisher.derivation_of = lambda e: Derivation(
        Output("WorkItem", e.subject, 4, "judge", "1.2.0"), OutputState.OPEN
    )
    heard = Heard(UnavailableError("not yet"))

    async with running(registered.consumer(heard, consumption=reporter).run()):
        await registered.publisher.publish(event())
        await eventually(lambda: heard.events)
    await reporter.flush()

    message = await registered.bus.js.get_last_msg("USE", "use.acme.tester")
    report = consumption_pb2.ConsumptionReport.FromString(message.data)
    (use,), (receipt,) = report.uses, report.receipts
    assert (use.client, use.coordinate, use.service, use.count) == ("tester", TYPE, "tester", 1)
    assert (receipt.output_id, receipt.output_version, receipt.count) == ("a", 4, 1)
    assert receipt.door == consumption_pb2.DOOR_EVENT


async def test_everything_goes_on_after_the_server_was_killed(nats, registered):
    heard = Heard()
    async with running(registered.consumer(heard).run()):
        await registered.publisher.publish(event(1))
        await eventually(lambda: len(heard.events) == 1)

        await nats.kill()
        await eventually(lambda: not registered.bus.connected)
        with pytest.raises(UnavailableError):
            await registered.publisher.publish(event(2))
        assert registered.contracts.event_schema(TYPE) is not None
        await nats.start()
        await eventually(lambda: registered.bus.connected)

        await publish_until_stored(registered, event(2))
        await eventually(lambda: event(2).id in heard.events)
        await (await registered.bus.kv("contracts")).put("budgets", b'{"trip":{"budget_s":60}}')
        await eventually(lambda: "trip" in registered.contracts.budgets())


async def publish_until_stored(mesh, envelope):
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await mesh.publisher.publish(envelope)
            except UnavailableError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_the_streams_are_made_once_by_whoever_is_first(nats):
    async with MeshNats(nats.url) as one, MeshNats(nats.url) as two:
        await asyncio.gather(*(ensure_streams(bus) for bus in (one, two) * 3))
        names = {info.config.name for info in await one.js.streams_info()}

    assert {"RAW", "TELE", "EVENTS", "QUARANTINE", "KV_leases", "OBJ_bundles"} <= names
