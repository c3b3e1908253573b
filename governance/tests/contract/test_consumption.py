"""Reports of consumption from the bus to the store."""

import asyncio

import pytest

from governance.adapters.memory import MemoryRegistry
from governance.events import ConsumptionReports
from governance.usecases import RecordConsumption
from twinmesh.governance.v1 import consumption_pb2 as pb
from twinmesh_sdk.adapters.nats import MeshNats, ensure_streams
from twinmesh_sdk.wire import timestamp

pytestmark = pytest.mark.stack


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
    return pb.ConsumptionReport(
        reporter="gateway", instance="a", sequence=sequence, uses=[use]
    ).SerializeToString()


async def test_a_report_counts_once_and_an_unreadable_one_holds_nothing_up(bus, now):
    registry = MemoryRegistry()
    reading = asyncio.create_task(ConsumptionReports(bus, RecordConsumption(registry)).run())
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
