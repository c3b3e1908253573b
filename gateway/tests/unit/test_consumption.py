"""Which parts of which contracts an operation uses: by its text, and by what its variables hold."""

from graphql import parse

from gateway.consumption import used_by_value, uses_of
from twinmesh_federation import Planner, Subgraph, compose
from twinmesh_sdk.core.consumption import UseKind

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
