"""Reports of consumption from the bus to the store."""

import asyncio
import json

import pytest

from governance.adapters.memory import MemoryLineage, MemoryRegistry
from governance.events import ConsumptionReports, DerivationConsumer
from governance.usecases import RecordConsumption, RecordDerived, RecordReceipts
from twinmesh.governance.v1 import consumption_pb2 as pb
from twinmesh_sdk.adapters.nats import ContractSnapshot, KvMirror, MeshNats, ensure_streams
from twinmesh_sdk.adapters.nats.cloudevents import headers_of
from twinmesh_sdk.core.consumption import Derivation, Output, OutputState
from twinmesh_sdk.core.events import Envelope, EventType, subject_of
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import SimulatedClock
from twinmesh_sdk.wire import timestamp

pytestmark = pytest.mark.stack
ACME = Tenant("acme")
KIND = EventType("test.thing.happened.v1")


@pytest.fixture
async def bus(private_nats):
    async with MeshNats(
        private_nats.url, user=private_nats.user, password=private_nats.password, name="t"
    ) as bus:
        await ensure_streams(bus)
        yield bus


def report(now, sequence, coordinate="Pump.state"):
    use = pb.ContractUse(
        client="erp-app",
        kind=pb.USE_KIND_FIELD,
        coordinate=coordinate,
        service="pump-twin",
        first_at=timestamp(now),
        last_at=timestamp(now),
        count=2,
    )
    receipt = pb.Receipt(
        client="erp-app",
        door=pb.DOOR_GATEWAY,
        output_type="WorkItem",
        output_id="wki_1",
        output_version=1,
        model="judge",
        model_version="1.0.0",
        first_at=timestamp(now),
        last_at=timestamp(now),
        count=3,
    )
    return pb.ConsumptionReport(
        reporter="gateway", instance="a", sequence=sequence, uses=[use], receipts=[receipt]
    ).SerializeToString()


async def test_a_report_counts_once_and_an_unreadable_one_holds_nothing_up(bus, now):
    registry = MemoryRegistry()
    lineage = MemoryLineage()
    reports = ConsumptionReports(
        bus, RecordConsumption(registry, SimulatedClock(now)), RecordReceipts(lineage)
    )
    reading = asyncio.create_task(reports.run())
    try:
        await bus.js.publish("use.acme.gateway", report(now, 1))
        await bus.js.publish("use.acme.gateway", report(now, 1))
        await bus.js.publish("use.acme.gateway", b"\xff\xff")
        await bus.js.publish("use.acme.gateway", report(now, 2, coordinate="no coordinate"))
        await bus.js.publish("use.acme.gateway", report(now, 3))
        async with asyncio.timeout(20):
            while True:
                async with registry.snapshot() as session:
                    found = await session.uses(since=now)
                if found and found[0].count >= 4:
                    break
                await asyncio.sleep(0.05)
        info = await bus.js.consumer_info("USE", "governance-use")
    finally:
        reading.cancel()

    assert [(use.coordinate, use.count) for use in found] == [("Pump.state", 4)]
    assert info.num_pending == 0
    (receipt,) = await lineage.receipts(Tenant("acme"), "judge", "1.0.0", limit=9)
    assert receipt.count == 6


async def test_what_twins_announce_is_read_off_the_headers(bus, now):
    def event(version, state):
        derivation = Derivation(
            Output("WorkItem", "wki_1", version, "judge", "1.0.0"), state, "cfg_1", "sha256:00"
        )
        envelope = Envelope(
            f"evt_{version}", KIND, "says anything", ACME, "ast_1", now, b"x", derivation=derivation
        )
        return headers_of(envelope, dataschema="x#y", traceparent="")

    plain = Envelope("evt_9", KIND, "tester", ACME, "ast_1", now, b"x")
    lineage = MemoryLineage()
    subject = subject_of(ACME, KIND)
    await bus.js.publish(subject, b"x", headers=event(1, OutputState.OPEN))
    await bus.js.publish(subject, b"x", headers={"ce-id": "no event"})
    await bus.js.publish(subject, b"x", headers=headers_of(plain, dataschema="x#y", traceparent=""))
    await bus.js.publish(subject, b"x", headers=event(2, OutputState.ENDED))
    contracts = KvMirror(bus, "contracts")
    entry = {"type": KIND, "message": "x", "digests": ["y"], "service": "tester"}
    await (await bus.kv("contracts")).put(f"event.{KIND}", json.dumps(entry).encode())
    following = asyncio.create_task(contracts.run())
    await contracts.wait_synced()
    consumer = DerivationConsumer(bus, ContractSnapshot(contracts), RecordDerived(lineage))
    reading = asyncio.create_task(consumer.run())
    try:
        held, until = [], asyncio.get_running_loop().time() + 20
        while not held and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.05)
            held = await lineage.derived(ACME, "judge", "1.0.0", [OutputState.ENDED], limit=9)
    finally:
        reading.cancel()
        following.cancel()

    (one,) = held
    assert (one.service, one.subject, one.output.version) == ("tester", "ast_1", 2)
    assert one.derivation.configuration_version == "cfg_1"
