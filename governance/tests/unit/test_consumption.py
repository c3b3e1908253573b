from datetime import timedelta

import pytest

from governance.adapters.memory import MemoryRegistry
from governance.model.changes import Deprecation
from governance.model.consumption import ClientOwner, Report, Use, UseKind
from governance.usecases import RecordConsumption
from twinmesh.governance.v1.contract_events_pb2 import ContractDeprecated
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.testing.clock import SimulatedClock


def use(now, **parts):
    made = {
        "client": "erp-app",
        "kind": UseKind.FIELD,
        "coordinate": "Pump.state",
        "service": "pump-twin",
        "first_at": now,
        "last_at": now,
        "count": 1,
    }
    return Use(**(made | parts))


async def test_a_clock_that_is_ahead_keeps_no_use_alive(now):
    registry = MemoryRegistry()
    ahead = use(now + timedelta(days=1), last_at=now + timedelta(days=400))
    await RecordConsumption(registry, SimulatedClock(now))(
        Report("acme", "gateway", "a", 1, (ahead,))
    )
    async with registry.snapshot() as session:
        (found,) = await session.uses(since=now)

    assert (found.first_at, found.last_at) == (now, now)


@pytest.mark.parametrize(
    "parts",
    [
        {"client": ""},
        {"client": "a b"},
        {"client": "a" * 200},
        {"coordinate": ""},
        {"coordinate": "Pump state"},
        {"coordinate": "P" * 301},
        {"coordinate": "Pump.state; DROP"},
        {"count": 0},
    ],
)
def test_a_use_that_no_contract_could_contain_is_refused(now, parts):
    with pytest.raises(InvalidInputError):
        use(now, **parts)


@pytest.mark.parametrize(
    ("kind", "coordinate"),
    [
        (UseKind.FIELD, "Pump.state"),
        (UseKind.ARGUMENT, "Query.assets(first:)"),
        (UseKind.ARGUMENT, "AssetFilter.name"),
        (UseKind.ENUM_VALUE, "State.ON"),
        (UseKind.RPC_METHOD, "twinmesh.assets.v1.AssetService/GetAsset"),
        (UseKind.EVENT, "pump.work_item.opened.v1"),
    ],
)
def test_every_kind_of_use_has_its_coordinate(now, kind, coordinate):
    assert use(now, kind=kind, coordinate=coordinate).coordinate == coordinate


def test_times_out_of_order_reports_without_a_name_and_owners_without_one_are_refused(now):
    for wrong in (
        lambda: use(now, last_at=now - timedelta(seconds=1)),
        lambda: Report("acme", "", "a", 1),
        lambda: Report("acme", "gateway", "", 1),
        lambda: Report("acme", "gateway", "a", 1, (use(now),) * 5001),
        lambda: ClientOwner("erp-app", "", "x"),
        lambda: ClientOwner("no client", "x", "x"),
    ):
        with pytest.raises(InvalidInputError):
            wrong()


async def test_the_owner_of_a_client_that_begins_to_use_what_is_deprecated_is_told_once(now):
    registry = MemoryRegistry()
    deprecated = Deprecation("pump-twin", "Pump.state", now, "1.1.0", "old")
    async with registry.exclusive() as session:
        await session.replace_deprecations("pump-twin", [deprecated])
        await session.save_owner(ClientOwner("erp-app", "Finance", "fin@example.com"))
    record = RecordConsumption(registry, SimulatedClock(now))
    others = [
        use(now, coordinate="Pump.id"),
        use(now, client="svc-pump-twin"),
        use(now, service="x"),
    ]
    for sequence in (1, 2):
        await record(Report("acme", "gateway", "a", sequence, (use(now), *others)))
    async with registry.consumption() as session:
        (event,) = session.state.announced.values()
    told = ContractDeprecated.FromString(event.data)

    assert (told.client, told.team, told.coordinate) == ("erp-app", "Finance", "Pump.state")
