"""Receipts are counted once and add up; what was derived ends the same in any order."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from governance.adapters.memory import MemoryLineage
from governance.adapters.migration import migrate
from governance.adapters.postgres import PostgresLineage
from governance.model.contracts import Version
from governance.model.lineage import Derived, Receipt, ReportId
from governance.model.releases import ModelName
from governance.usecases.lineage import ReadLineage, RecordExport, RecordReceipts
from twinmesh_sdk.core.consumption import Derivation, Door, Output, OutputState
from twinmesh_sdk.core.errors import ForbiddenError, InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.testing.clock import SimulatedClock

ACME, GLOBEX = Tenant("acme"), Tenant("globex")
MODEL = ModelName("pump-condition")
V1 = Version.parse("1.0.0")
SECOND = timedelta(seconds=1)


@pytest.fixture
async def postgres(database_url):
    engine = create_async_engine(database_url, pool_size=10)
    await migrate(engine)
    yield PostgresLineage(engine)
    await engine.dispose()


@pytest.fixture
def memory():
    return MemoryLineage()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.stack)])
def store(request):
    return request.getfixturevalue(request.param)


def item(number=1, version=1, model_version="1.0.0"):
    return Output("WorkItem", f"wki_{number}", version, MODEL, model_version)


def report(sequence, instance="i1"):
    return ReportId("gateway", instance, sequence)


@pytest.fixture
def receipt(now):
    def make(client="erp-app", *, output=None, door=Door.GATEWAY, after_s=0, count=1, op="Ask"):
        at = now + after_s * SECOND
        return Receipt(client, door, output or item(), op, at, at, count)

    return make


async def test_a_report_that_arrives_twice_counts_once(store, receipt):
    record = RecordReceipts(store)

    assert await record(ACME, report(1), [receipt(count=2)])
    assert not await record(ACME, report(1), [receipt(count=2)])
    assert await record(ACME, report(2), [receipt(count=3, after_s=60, op="Again")])
    assert await record(ACME, report(1, "i2"), [receipt(count=5, after_s=-60, op="Before")])

    (held,) = await store.receipts(ACME, MODEL, "1.0.0", limit=10)
    assert (held.count, held.operation) == (10, "Again")
    assert (held.last_at - held.first_at) == 120 * SECOND


async def test_reports_at_once_lose_nothing(store, receipt):
    record = RecordReceipts(store)
    many = [receipt(output=item(n), count=1) for n in range(40)]

    await asyncio.gather(
        *(record(ACME, report(1, f"i{n}"), many if n % 2 else many[::-1]) for n in range(12))
    )

    held = await store.receipts(ACME, MODEL, "1.0.0", limit=100)
    assert [r.count for r in held] == [12] * 40


async def test_the_same_receipt_twice_in_a_report_is_one(store, receipt):
    await RecordReceipts(store)(ACME, report(1), [receipt(), receipt(after_s=1), receipt("other")])

    held = {r.client: r.count for r in await store.receipts(ACME, MODEL, "1.0.0", limit=10)}
    assert held == {"erp-app": 2, "other": 1}


async def test_impact_names_who_read_it_and_nobody_of_another_tenant(store, receipt, who):
    record = RecordReceipts(store)
    await record(ACME, report(1), [receipt(), receipt("later", after_s=5)])
    await record(GLOBEX, report(2), [receipt("outsider")])
    await record(ACME, report(3), [receipt(output=item(model_version="2.0.0"))])

    impact = await ReadLineage(store).impact(who("planner", "read"), MODEL, V1)

    assert [r.client for r in impact.receipts] == ["later", "erp-app"]
    assert not impact.truncated
    short = await ReadLineage(store).impact(who("planner", "read"), MODEL, V1, limit=1)
    assert short.truncated
    with pytest.raises(ForbiddenError):
        await ReadLineage(store).impact(who("nobody"), MODEL, V1)


async def test_receipts_are_read_on_from_any_place(store, receipt):
    await RecordReceipts(store)(ACME, report(1), [receipt(f"c{n}") for n in range(7)])

    whole = await store.receipts(ACME, MODEL, "1.0.0", limit=7)
    last = whole[2]
    output = last.output
    place = "\x1f".join((output.type, output.id, str(output.version), last.client, str(last.door)))
    rest = await store.receipts(ACME, MODEL, "1.0.0", after=(last.last_at, place), limit=7)

    assert rest == whole[3:]


@pytest.fixture
def derived(now):
    def make(version=1, state=OutputState.OPEN, number=1, model_version="1.0.0", tenant=ACME):
        derivation = Derivation(item(number, version, model_version), state, "cfg_1", "sha256:00")
        at = now + version * SECOND
        return Derived(tenant, "maintenance-twin", "ast_1", derivation, at)

    return make


async def test_numbered_versions_in_any_order_end_with_the_newest(store, derived):
    told = [derived(1), derived(2, OutputState.ENDED), derived(3, OutputState.WITHDRAWN)]
    for number, order in enumerate(itertools.permutations(told)):
        tenant = Tenant(f"t{number}")
        for one in order:
            moved = Derived(tenant, one.service, one.subject, one.derivation, one.at)
            await store.put_derived([moved])

        assert await store.derived(tenant, MODEL, "1.0.0", [OutputState.OPEN], limit=9) == []
        (held,) = await store.derived(tenant, MODEL, "1.0.0", list(OutputState), limit=9)
        assert held.state is OutputState.WITHDRAWN


async def test_what_stands_until_replaced_is_replaced_by_what_is_said_next(store, derived):
    told = [
        derived(9, OutputState.STANDING),
        derived(5, OutputState.STANDING, model_version="2.0.0"),
    ]
    await store.put_derived(told)
    await store.put_derived(told)

    assert await store.derived(ACME, MODEL, "1.0.0", [OutputState.STANDING], limit=9) == []
    (held,) = await store.derived(ACME, MODEL, "2.0.0", [OutputState.STANDING], limit=9)
    assert held.output.version == 5


async def test_nobody_speaks_for_another_services_output(store, derived):
    await store.put_derived([derived(1)])
    forged = replace(derived(2, OutputState.ENDED), service="energy-twin")
    await store.put_derived([forged])
    await store.put_derived([derived(1), forged])

    (held,) = await store.derived(ACME, MODEL, "1.0.0", list(OutputState), limit=9)
    assert (held.service, held.state) == ("maintenance-twin", OutputState.OPEN)


async def test_open_decisions_come_first_and_what_ended_is_no_impact(store, derived, who):
    await store.put_derived(
        [
            derived(9, OutputState.STANDING, number=1),
            derived(1, OutputState.OPEN, number=2),
            derived(1, OutputState.ENDED, number=3),
            derived(1, OutputState.OPEN, number=4, model_version="2.0.0"),
            derived(1, OutputState.OPEN, number=5, tenant=GLOBEX),
        ]
    )

    impact = await ReadLineage(store).impact(who("planner", "read"), MODEL, V1)

    assert [d.output.id for d in impact.outputs] == ["wki_2", "wki_1"]
    assert impact.outputs[0].derivation.inputs_digest == "sha256:00"
    about = await store.derived_about(ACME, ["ast_1", "ast_2"], per_subject=2)
    assert [d.output.id for d in about["ast_1"]] == ["wki_1", "wki_2"]
    assert "ast_2" not in about


async def test_old_receipts_are_forgotten_and_open_decisions_are_not(store, receipt, derived, now):
    await RecordReceipts(store)(ACME, report(1), [receipt("old"), receipt("new", after_s=100)])
    await store.put_derived([derived()])

    assert await store.forget(before=now + 50 * SECOND, limit=100) == 1

    assert [r.client for r in await store.receipts(ACME, MODEL, "1.0.0", limit=9)] == ["new"]
    assert await store.derived(ACME, MODEL, "1.0.0", [OutputState.OPEN], limit=9)


async def test_an_export_is_told_by_who_may_and_only_of_the_past(store, receipt, who, now):
    export = RecordExport(RecordReceipts(store), SimulatedClock(now))
    exporter = who("cmms-bridge", "receipts.write")
    copied = receipt("cmms", door=Door.EXPORT)

    assert await export(exporter, report(1), [copied])
    with pytest.raises(ForbiddenError):
        await export(who("planner", "read"), report(2), [copied])
    with pytest.raises(InvalidInputError, match="future"):
        await export(exporter, report(2), [receipt("cmms", door=Door.EXPORT, after_s=600)])
    with pytest.raises(InvalidInputError, match="only exports"):
        await export(exporter, report(2), [receipt()])
