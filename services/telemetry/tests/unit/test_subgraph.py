import pytest

from telemetry.adapters.memory import MemoryReadingStore
from telemetry.subgraph import SCHEMA, Context, Reads
from telemetry.usecases.reads import ReadLatest
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import answering
from twinmesh_sdk.core.times import ReadTime, from_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.graphql import sdl_of

NOW = 1_767_225_600_000_000
QUERY = """
query($s: [_Any!]!) { _entities(representations: $s) { ... on Signal {
  id latest { value } trip: latest(for: "trip") { verdict } trust(for: "trip") { verdict }
} } }
"""


class Directory:
    def __init__(self, signals):
        self.signals = {s.signal_id: s for s in signals}
        self.calls = 0

    async def definitions(self, tenant, signal_ids):
        self.calls += 1
        return {i: self.signals[i] for i in signal_ids if i in self.signals}


class StillClock:
    def plant_now(self, tenant):
        return from_us(NOW)

    def speed(self, tenant):
        return 1.0


async def ask(signals, query=QUERY):
    store, directory = MemoryReadingStore(), Directory(signals)
    latest = ReadLatest(
        store=store,
        directory=directory,
        budgets=lambda: {"trip": Budget("trip", 60.0)},
        clock=StillClock(),
    )
    reads = Reads(latest=latest, history=None, status=None, quarantine=None, alerts=None)
    representations = [{"__typename": "Signal", "id": s.signal_id} for s in signals]
    principal = Principal("erp", "erp", Tenant("acme"), frozenset({"read"}))
    times = ReadTime(now=from_us(NOW), as_of=from_us(NOW))
    with answering(principal=principal, read_time=times):
        answer = await SCHEMA.execute(query, {"s": representations}, context_value=Context(reads))
    return answer, store.calls, directory.calls


@pytest.mark.parametrize("count", [1, 200, 400])
async def test_any_number_of_signals_costs_the_same_number_of_calls(signal, count):
    answer, store_calls, directory_calls = await ask([signal(n) for n in range(1, count + 1)])

    assert answer.errors is None
    assert len(answer.data["_entities"]) == count
    assert (store_calls, directory_calls) == (2, 2)  # one per decision asked for
    assert answer.data["_entities"][0]["latest"] is None
    assert answer.data["_entities"][0]["trust"]["verdict"] == "ABSENT"


async def test_a_decision_without_a_budget_is_not_found_by_name(signal):
    query = QUERY.replace('trust(for: "trip")', 'trust(for: "party")')
    answer, _, _ = await ask([signal(1)], query)

    assert "party" in str(answer.errors[0])


def test_the_contract_holds_the_schema_that_is_served():
    assert Contract.load("telemetry").sdl == sdl_of(SCHEMA)
