import pytest

from telemetry.adapters.memory import MemoryReadingStore
from telemetry.model.verdict import ToldVerdict, VerdictChange, VerdictState
from telemetry.subgraph import SCHEMA, Context, Reads
from telemetry.usecases.reads import ReadLatest
from telemetry.wire.events import told_verdict, verdict_changed
from twinmesh_sdk.contract import Contract
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import answering
from twinmesh_sdk.core.times import ReadTime, from_us
from twinmesh_sdk.core.trust import Budget, Verdict
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
    reads = Reads(
        latest=latest, history=None, status=None, quarantine=None, alerts=None, verdicts=None
    )
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


def told(asset_id, decision):
    return ToldVerdict(
        asset_id=asset_id,
        signal_id=f"sig-of-{asset_id}",
        decision=decision,
        budget_s=60.0,
        previous=Verdict.FRESH,
        current=Verdict.STALE,
        observed_at=None,
        effective_at=from_us(NOW),
    )


async def test_verdicts_are_told_to_the_callers_tenant_as_narrowed():
    asked = []

    async def verdicts(tenant):
        asked.append(tenant)
        for asset_id, decision in (("a", "trip"), ("b", "trip"), ("a", "plan"), ("a", "trip")):
            yield told(asset_id, decision)

    reads = Reads(
        latest=None, history=None, status=None, quarantine=None, alerts=None, verdicts=verdicts
    )
    query = """subscription { verdictChanged(assetIds: ["a"], for: "trip") {
      signal { id } decision previous current observedAt effectiveAt budgetS } }"""
    principal = Principal("erp", "erp", Tenant("acme"), frozenset({"read"}))
    with answering(principal=principal):
        results = await SCHEMA.subscribe(query, context_value=Context(reads))
        found = [result async for result in results]
    assert asked == [Tenant("acme")]
    assert [r.errors for r in found] == [None, None]
    assert found[0].data["verdictChanged"] == {
        "signal": {"id": "sig-of-a"},
        "decision": "trip",
        "previous": "FRESH",
        "current": "STALE",
        "observedAt": None,
        "effectiveAt": "2026-01-01T00:00:00.000000Z",
        "budgetS": 60.0,
    }


def test_an_announcement_is_read_back_as_it_was_told(signal):
    now = VerdictState("acme", "s", "trip", Verdict.LATE, 60.0, from_us(NOW), from_us(NOW), 3)
    event = verdict_changed(VerdictChange(signal(1), None, now))
    found = told_verdict(event.data)
    assert (found.previous, found.current) == (Verdict.ABSENT, Verdict.LATE)
    assert (found.observed_at, found.effective_at) == (from_us(NOW), from_us(NOW))
    with pytest.raises(InvalidInputError):
        told_verdict(b"\xff")
