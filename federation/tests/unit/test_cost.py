"""What an operation is estimated to cost, and what is refused for it."""

import pytest
from graphql import parse, validate
from hypothesis import given
from hypothesis import strategies as st

from twinmesh_federation import (
    Engine,
    ExecutorOptions,
    GraphQLRequest,
    Limits,
    Subgraph,
    compose,
)
from twinmesh_federation.execution.cost import Cost, CostModel, SlicingError
from twinmesh_federation.planning.operation import select_operation
from twinmesh_federation.testing import LocalSubgraphs

SDL = """
extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",
                    import: ["@key", "@cost", "@listSize"])

type Query {
  pumps(first: Int, last: Int): [Pump!]! @listSize(assumedSize: 5, slicingArguments: ["first",
    "last"], requireOneSlicingArgument: false)
  page(first: Int = 3): PumpPage! @listSize(slicingArguments: ["first"], sizedFields: ["nodes"])
  strict(first: Int, last: Int): [Pump!]! @listSize(slicingArguments: ["first", "last"])
  plain: [Pump!]!
  thing: Thing
  search(text: String @cost(weight: 2), filter: Filter): Pump
  dear: Pump @cost(weight: 20)
}
input Filter { near: String @cost(weight: 5), all: [Filter!] }
type PumpPage { nodes: [Pump!]! total: Int }
union Thing = Pump | Plant
type Plant @cost(weight: 9) { name: String pumps: [Pump!]! }
type Pump { id: ID name: String readings: [Float!]! parts: [Part!]! }
type Part { id: ID hours: Hours }
scalar Hours @cost(weight: 3)
"""

SUPERGRAPH = compose([Subgraph("plants", "http://p", SDL)]).supergraph


def cost(query, variables=None, *, list_size=10):
    document = parse(query)
    assert validate(SUPERGRAPH.api_schema, document) == []
    model = CostModel(SUPERGRAPH, list_size=list_size)
    return model.estimate(document, select_operation(document, None), variables or {})


@pytest.mark.parametrize(
    ("query", "fields", "types"),
    [
        ("{ dear { id } }", 20, 1 + 1),
        ("{ plain { id } }", 1, 1 + 10),
        ("{ pumps(first: 7) { id } }", 1, 1 + 7),
        ("{ pumps(first: 7, last: 9) { id } }", 1, 1 + 9),
        ("{ pumps { id } }", 1, 1 + 5),
        ("{ pumps(first: 7) { parts { id } } }", 1 + 7 * 1, 1 + 7 * (1 + 10)),
        ("{ pumps(first: 2) { parts { hours } } }", 1 + 2, 1 + 2 * (1 + 10 * (1 + 3))),
        ("{ page(first: 4) { total nodes { id } } }", 1 + 1, 1 + 1 + 4),
        ("{ page { nodes { id } } }", 1 + 1, 1 + 1 + 3),
        ('{ search(text: "x") { id } }', 1 + 2, 1 + 1),
        ('{ search(filter: {near: "x", all: [{near: "y"}]}) { id } }', 1 + 10, 1 + 1),
        ("{ thing { ... on Pump { parts { id } } ... on Plant { name } } }", 1 + 1, 1 + 9 + 10),
        ("{ a: plain { id } b: plain { id } }", 2, 1 + 20),
        ("{ plain { id } plain { id name } }", 1, 1 + 10),
        ("{ plain @skip(if: true) { id } dear { id } }", 20, 1 + 1),
        ("{ __typename }", 0, 1),
        (
            "{ ...F } fragment F on Query { pumps(first: 2) { ...G } } fragment G on Pump { id }",
            1,
            3,
        ),
    ],
)
def test_fields_and_values_are_weighed(query, fields, types):
    assert cost(query) == Cost(fields, types)


@pytest.mark.parametrize("query", ["{ strict { id } }", "{ strict(first: 1, last: 1) { id } }"])
def test_exactly_one_slicing_argument_is_demanded_where_the_schema_says_so(query):
    with pytest.raises(SlicingError, match="exactly one of first, last"):
        cost(query)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_longer_list_never_costs_less(one, other):
    query = "query ($n: Int) { pumps(first: $n) { id parts { id } } }"
    few, many = (cost(query, {"n": n}) for n in sorted((one, other)))
    assert few.type <= many.type
    assert few.field <= many.field


def test_nothing_negative_pays_for_something_else():
    query = "{ pumps(first: -5) { id } plain { id } }"
    assert cost(query) == Cost(2, 1 + 10)


async def test_what_is_too_expensive_is_refused_with_the_figures():
    options = ExecutorOptions(limits=Limits(type_cost=100))
    engine = Engine(LocalSubgraphs({}), supergraph=SUPERGRAPH, options=options)

    result = await engine.execute(GraphQLRequest("{ pumps(first: 100) { id } }"))

    assert not result.has_data
    assert result.errors[0]["extensions"] == {
        "code": "LIMIT_EXCEEDED",
        "limit": "type_cost",
        "found": 101.0,
        "allowed": 100,
    }


async def test_the_other_limits_tell_their_figures_too():
    options = ExecutorOptions(limits=Limits(depth=1))
    engine = Engine(LocalSubgraphs({}), supergraph=SUPERGRAPH, options=options)
    result = await engine.execute(GraphQLRequest("{ plain { id } }"))
    assert result.errors[0]["extensions"] == {
        "code": "LIMIT_EXCEEDED",
        "limit": "depth",
        "found": 2,
        "allowed": 1,
    }


def test_an_estimate_that_would_itself_run_away_counts_as_the_dearest():
    types = " ".join(f"type T{n} implements I {{ next: I v{n}: Int }}" for n in range(8))
    sdl = f"type Query {{ i: I }} interface I {{ next: I }} {types}"
    supergraph = compose([Subgraph("a", "http://a", sdl)]).supergraph
    query = "{ i { __typename } }"
    for depth in range(12):
        query = query.replace(
            "__typename",
            f"next {{ ... on T{depth % 8} {{ __typename }} ... on "
            f"T{(depth + 1) % 8} {{ next {{ __typename }} }} __typename }}",
            1,
        )
    document = parse(query)
    model = CostModel(supergraph, list_size=10)
    assert model.estimate(document, select_operation(document, None), {}).field > 0
