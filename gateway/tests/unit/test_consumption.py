"""Which parts of which contracts an operation uses: by its text, and by what its variables hold."""

import asyncio

from graphql import parse

from gateway.consumption import Consumption, used_by_value, uses_of
from gateway.forwarding import Asked
from twinmesh.governance.v1 import consumption_pb2 as pb
from twinmesh_federation import Planner, Subgraph, compose
from twinmesh_sdk.adapters.nats import ConsumptionReporter
from twinmesh_sdk.core.consumption import UseKind
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import Deadline
from twinmesh_sdk.core.times import ReadTime
from twinmesh_sdk.testing.clock import START, SimulatedClock

LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key"])\n'
ITEMS = (
    LINK
    + """
type Query { items(filter: Filter, first: Int): [Item!]! }
input Filter { statuses: [Status!] opened: Range note: String }
input Range { from: String to: String }
enum Status { OPEN CLOSED }
interface Named { name: String }
type Item implements Named @key(fields: "id") { id: ID! name: String status: Status! asset: Asset }
type Asset @key(fields: "id") { id: ID! }
"""
)
ASSETS = (
    LINK
    + """
type Query { named(style: Style): String }
enum Style { SHORT LONG }
type Asset @key(fields: "id") { id: ID! label(style: Style): String }
"""
)
MESH = compose(
    [Subgraph("items", "http://items", ITEMS), Subgraph("assets", "http://assets", ASSETS)]
).supergraph
PLANNER = Planner(MESH)


def uses(text):
    found = uses_of(PLANNER.plan(parse(text)).operation, MESH)
    return {(u.kind, u.coordinate, u.service) for u in found.fixed.uses}, found.given


def test_fields_belong_to_the_services_that_resolve_them():
    found, _ = uses("{ items { ...F asset { id label } } } fragment F on Named { name __typename }")

    assert found == {
        (UseKind.FIELD, "Query.items", "items"),
        (UseKind.FIELD, "Item.name", "items"),
        (UseKind.FIELD, "Item.asset", "items"),
        (UseKind.FIELD, "Asset.id", "items"),
        (UseKind.FIELD, "Asset.id", "assets"),
        (UseKind.FIELD, "Asset.label", "assets"),
    }


def test_arguments_members_and_values_in_the_text_are_used():
    found, given = uses(
        '{ items(first: 3, filter: {statuses: [OPEN], opened: {from: "x"}}) '
        "{ asset { label(style: LONG) } } }"
    )

    assert found >= {
        (UseKind.ARGUMENT, "Query.items(first:)", "items"),
        (UseKind.ARGUMENT, "Query.items(filter:)", "items"),
        (UseKind.ARGUMENT, "Filter.statuses", "items"),
        (UseKind.ENUM_VALUE, "Status.OPEN", "items"),
        (UseKind.ARGUMENT, "Filter.opened", "items"),
        (UseKind.ARGUMENT, "Range.from", "items"),
        (UseKind.ARGUMENT, "Asset.label(style:)", "assets"),
        (UseKind.ENUM_VALUE, "Style.LONG", "assets"),
    }
    assert not {c for _, c, _ in found} & {"Filter.note", "Status.CLOSED", "Range.to"}
    assert given == ()


def test_a_variables_value_uses_what_it_holds_wherever_it_is_received():
    found, given = uses(
        "query($f: Filter, $style: Style = SHORT, $n: Int) { items(filter: $f, first: $n) "
        "{ asset { label(style: $style) } } named(style: $style) }"
    )
    by_name = {name: (type_name, services) for name, type_name, services in given}

    assert by_name == {"f": ("Filter", ("items",)), "style": ("Style", ("assets",))}
    assert (UseKind.ENUM_VALUE, "Style.SHORT", "assets") in found
    value = {"statuses": ["OPEN", "STRANGE"], "note": None, "unknown": 1}
    used = used_by_value(value, "Filter", ("items",), MESH)
    assert {u.coordinate for u in used} == {"Filter.statuses", "Status.OPEN", "Filter.note"}


def test_a_value_is_looked_at_only_so_far():
    deep = {"statuses": ["OPEN"] * 10_000}

    assert {u.coordinate for u in used_by_value(deep, "Filter", ("items",), MESH)} == {
        "Filter.statuses",
        "Status.OPEN",
    }


class Bus:
    """Takes every report."""

    def __init__(self):
        self.reports = []

    async def publish(self, subject, data, *, message_id):
        assert message_id
        self.reports.append((subject, pb.ConsumptionReport.FromString(data)))


def asked(plan, *told, client="erp-app"):
    return Asked(
        principal=Principal("erp", client, Tenant("acme"), frozenset({"read"})),
        token="",
        times=ReadTime(now=START, as_of=START),
        deadline=Deadline.after(10),
        plan=plan,
        told=list(told),
        variables={"f": {"statuses": ["OPEN"]}},
    )


async def test_each_answer_is_recorded_once_after_it_was_made():
    bus, plan = Bus(), PLANNER.plan(parse("query Work($f: Filter) { items(filter: $f) { id } }"))
    reporter = ConsumptionReporter(bus, SimulatedClock(), reporter="gateway")
    consumption = Consumption(reporter, lambda: MESH)
    group = {"type": "Item", "model": "m", "modelVersion": "1.0.0", "items": [["i1", 3]]}
    request = asked(plan, {"outputs": [group]}, {"outputs": "nonsense"}, {"trust": {}})

    consumption.answered(request)
    consumption.answered(request)
    await reporter.flush()
    assert bus.reports == [], "nothing is done before the loop comes to it"
    await asyncio.sleep(0)
    await reporter.flush()

    ((subject, report),) = bus.reports
    assert subject == "use.acme.gateway"
    (receipt,) = report.receipts
    assert (receipt.client, receipt.output_id, receipt.output_version) == ("erp-app", "i1", 3)
    assert (receipt.operation, receipt.count) == ("Work", 1)
    counts = {use.coordinate: use.count for use in report.uses}
    assert counts == {
        "Query.items": 2,
        "Query.items(filter:)": 2,
        "Item.id": 2,
        "Filter.statuses": 2,
        "Status.OPEN": 2,
    }


async def test_a_request_that_was_never_planned_leaves_nothing():
    bus = Bus()
    reporter = ConsumptionReporter(bus, SimulatedClock(), reporter="gateway")

    Consumption(reporter, lambda: MESH).answered(asked(None))
    await asyncio.sleep(0)
    await reporter.flush()

    assert bus.reports == []
