"""S8: what 200 assets cost is what one asset costs, in calls to the store."""

import pytest
from sqlalchemy import event

from maintenance_twin.decide.twin import Seen, new_twin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.release import Releases
from maintenance_twin.model.signal import Profile, Role, Signal
from maintenance_twin.model.tuning import DEFAULT
from maintenance_twin.ports import Change, ConditionRewrite
from maintenance_twin.subgraph import Context, schema
from maintenance_twin.usecases import ReadConditions, ReadWorkItems
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import answering
from twinmesh_sdk.core.times import ReadTime, to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.testing.clock import START, SimulatedClock

pytestmark = pytest.mark.stack
ACME = Tenant("acme")
START_US = to_us(START)
QUERY = """query($of: [_Any!]!) { _entities(representations: $of) { ... on Asset { id
  maintenance { state trust { verdict } workItems { nodes { id } } } } } }"""


class Released:
    def releases_for(self, asset_class):
        return Releases.always("1.0.0")

    def shadows_for(self, asset_class):
        return Releases()

    def is_recalled(self, version):
        return False


def twin_of(number):
    asset_id = AssetId(f"ast_{number:026d}")
    signals = (
        Signal(SignalId(f"sig_{2 * number:026d}"), "flow", "m3/s", Role.FLOW, 1.0),
        Signal(SignalId(f"sig_{2 * number + 1:026d}"), "power", "W", Role.POWER, 1.0),
    )
    twin = new_twin(ACME, Profile(asset_id, "pump", signals), Configurations(), DEFAULT)
    twin.first_us = START_US
    twin.seen = {s.name: Seen(START_US, START_US) for s in signals}
    return twin


@pytest.fixture
def ask(store, reads, database):
    clock, budget, calls = SimulatedClock(), Budget("trip", 60.0), []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *arguments: calls.append(arguments[2]),
    )
    work_items = ReadWorkItems(store, reads, clock, budget)
    conditions = ReadConditions(store, reads, Released(), clock, budget)

    async def run(asset_ids):
        calls.clear()
        principal = Principal("erp", "erp-app", ACME, frozenset({"read"}))
        with answering(principal=principal, read_time=ReadTime(START, START)):
            answer = await schema.execute(
                QUERY,
                variable_values={"of": [{"__typename": "Asset", "id": a} for a in asset_ids]},
                context_value=Context(work_items, conditions, None, Released().is_recalled),
            )
        assert answer.errors is None
        return answer.data["_entities"], len(calls)

    return run


async def test_two_hundred_assets_cost_as_many_store_calls_as_one(store, ask):
    twins = [twin_of(n) for n in range(200)]
    healthy = (Condition(State.HEALTHY, START_US),)
    await store.save(
        [
            Change(twin=t, rewrites=[ConditionRewrite(Axis.CONDITION, START_US, healthy)])
            for t in twins
        ]
    )

    _, one = await ask([twins[0].asset_id])
    found, many = await ask([t.asset_id for t in twins])

    assert [f["maintenance"]["state"] for f in found] == ["HEALTHY"] * 200
    assert one == many <= 4


async def test_an_asset_without_a_twin_has_no_maintenance(ask):
    found, _ = await ask(["ast_" + "7" * 26])

    assert found[0]["maintenance"] is None
