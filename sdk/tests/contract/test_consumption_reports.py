"""What a process saw being used reaches the bus: added up, once, and also after an outage."""

import asyncio

import pytest

from twinmesh.governance.v1 import consumption_pb2 as pb
from twinmesh_sdk.adapters.nats import ConsumptionReporter, UsedTogether
from twinmesh_sdk.adapters.nats import consumption as reporting
from twinmesh_sdk.core.consumption import Door, Output, Use, UseKind
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.wire import moment

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
ITEM = Output("WorkItem", "wki_1", 2, "pump-condition", "1.0.0")
FIELD = Use(UseKind.FIELD, "WorkItem.id", "maintenance-twin")
OTHER = Use(UseKind.FIELD, "Asset.id", "asset-registry")


@pytest.fixture
def reporter(bus, clock):
    return ConsumptionReporter(bus, clock, reporter="gateway")


async def until(condition):
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - what it waits for is in another process
            await asyncio.sleep(0.01)


async def reports(bus, tenant="*"):
    """Return the reports that the stream holds."""
    found = []
    info = await bus.js.stream_info("USE")
    for sequence in range(1, info.state.last_seq + 1):
        message = await bus.js.get_msg("USE", sequence)
        if tenant in {"*", message.subject.split(".")[1]}:
            found.append(pb.ConsumptionReport.FromString(message.data))
    return found


async def test_what_happens_again_is_counted_in_one_report(bus, clock, reporter):
    began = clock.wall_now()
    reporter.receipts(ACME, "erp-app", Door.GATEWAY, [ITEM], operation="First")
    clock.advance(5.0)
    reporter.receipts(ACME, "erp-app", Door.GATEWAY, [ITEM], operation="Second")
    reporter.receipts(ACME, "planner", Door.GATEWAY, [ITEM])

    await reporter.flush()
    await reporter.flush()

    (report,) = await reports(bus)
    again, once = sorted(report.receipts, key=lambda r: r.client)
    assert (again.client, again.count, again.operation) == ("erp-app", 2, "Second")
    assert (again.output_id, again.output_version, again.door) == ("wki_1", 2, pb.DOOR_GATEWAY)
    assert (again.model, again.model_version) == ("pump-condition", "1.0.0")
    assert (moment(again.last_at) - moment(again.first_at)).total_seconds() == 5.0
    assert moment(again.first_at) == began
    assert once.count == 1


async def test_uses_of_cached_operations_are_told_apart_when_they_are_reported(bus, reporter):
    one, two = UsedTogether((FIELD, OTHER)), UsedTogether((FIELD,))
    for used in (one, one, two, OTHER):
        reporter.uses(ACME, "erp-app", used)

    await reporter.flush()

    (report,) = await reports(bus)
    counts = {(u.coordinate, u.service): u.count for u in report.uses}
    assert counts == {("WorkItem.id", "maintenance-twin"): 3, ("Asset.id", "asset-registry"): 3}


async def test_each_tenant_has_a_report_of_its_own(bus, reporter):
    reporter.receipts(ACME, "erp-app", Door.GATEWAY, [ITEM])
    reporter.uses(GLOBEX, "outsider", FIELD)

    await reporter.flush()

    (ours,), (theirs,) = await reports(bus, "acme"), await reports(bus, "globex")
    assert [r.client for r in ours.receipts] == ["erp-app"]
    assert not ours.uses
    assert [u.client for u in theirs.uses] == ["outsider"]
    assert {ours.sequence, theirs.sequence} == {1, 2}


async def test_a_busy_interval_becomes_several_reports(bus, reporter):
    many = [Output("WorkItem", f"wki_{n}", 1, "m", "1.0.0") for n in range(4_500)]
    reporter.receipts(ACME, "erp-app", Door.RPC, many)

    await reporter.flush()

    found = await reports(bus)
    assert [len(r.receipts) for r in found] == [2_000, 2_000, 500]
    assert len({o.output_id for r in found for o in r.receipts}) == 4_500


async def test_long_names_make_more_reports_not_larger_ones(bus, reporter):
    many = [Output("W" * 200, f"{n:0200}", 1, "m" * 200, "1" * 200) for n in range(2_000)]
    reporter.receipts(ACME, "c" * 200, Door.RPC, many, operation="o" * 200)

    await reporter.flush()

    found = await reports(bus)
    assert len(found) > 1
    assert max(report.ByteSize() for report in found) < 1_000_000
    assert len({r.output_id for report in found for r in report.receipts}) == 2_000


async def test_what_the_bus_did_not_take_is_sent_later_under_its_number(nats, bus, reporter):
    reporter.receipts(ACME, "erp-app", Door.GATEWAY, [ITEM])
    await nats.kill()
    await until(lambda: not bus.connected)
    await reporter.flush()
    reporter.receipts(ACME, "erp-app", Door.GATEWAY, [ITEM])
    await nats.start()
    await until(lambda: bus.connected)

    await reporter.flush()

    found = await reports(bus)
    assert [r.sequence for r in found] == [1, 2]
    assert len({r.instance for r in found}) == 1
    assert sum(r.count for report in found for r in report.receipts) == 2


async def test_more_than_can_be_held_is_dropped_and_counted(reporter):
    before = reporting.DROPPED.labels("receipt")._value.get()
    many = [Output("WorkItem", f"{n}", 1, "m", "1") for n in range(reporting.MAX_RECEIPTS + 3)]

    reporter.receipts(ACME, "erp-app", Door.GATEWAY, many)

    assert reporting.DROPPED.labels("receipt")._value.get() - before == 3
