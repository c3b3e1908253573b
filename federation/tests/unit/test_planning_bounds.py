"""Large supergraphs and hostile operations: bounds that hold, and plans that are made once."""

import asyncio
import re
from pathlib import Path

import pytest
from graphql import parse

from twinmesh_federation import (
    ExecutionHooks,
    Executor,
    ExecutorOptions,
    GraphQLRequest,
    Limits,
    PlanLimitError,
    Planner,
)
from twinmesh_federation.execution.executor import INLINE_PLAN_SIZE
from twinmesh_federation.planning.build import MAX_PLACED, MAX_STEPS
from twinmesh_federation.planning.decision import MAX_DECISIONS, MAX_SECONDS
from twinmesh_federation.planning.operation import MAX_SELECTIONS
from twinmesh_federation.testing import LocalSubgraphs
from twinmesh_federation.testing.scenario import composed

GRAPHS = 45
TYPES = 5


@pytest.fixture(scope="module")
def wide():
    """Many subgraphs that all know a union of the same entities, each with a field of its own."""
    union = " | ".join(f"T{t}" for t in range(TYPES))
    sdls = {}
    for graph in range(GRAPHS):
        types = " ".join(
            f'type T{t} @key(fields: "id") {{ id: ID! f{graph}: Int next: [Any] @shareable }}'
            for t in range(TYPES)
        )
        sdls[f"g{graph}"] = f"union Any = {union} type Query {{ all: [Any] @shareable }} {types}"
    return composed(**sdls)[0]


def deep(levels):
    if levels == 0:
        return "__typename"
    fields = " ".join(f"... on T{t} {{ f{(t * 7 + levels) % GRAPHS} }}" for t in range(TYPES))
    below = " ".join(f"... on T{t} {{ next {{ {deep(levels - 1)} }} }}" for t in range(2))
    return f"{fields} {below}"


def test_deep_unions_over_many_subgraphs_are_planned_with_a_request_per_level_and_owner(wide):
    plan = Planner(wide).plan(parse(f"{{ all {{ {deep(4)} }} }}"))

    assert len(plan.fetches) <= 4 * TYPES + 1


async def test_every_field_of_every_subgraph_costs_one_request_each(wide):
    fields = " ".join(f"f{g}" for g in range(GRAPHS))
    plan = Planner(wide).plan(parse(f"{{ all {{ ... on T0 {{ {fields} }} }} }}"))

    assert len(plan.fetches) == GRAPHS


def exploding(levels):
    fragments = [
        f"fragment F{n} on T0 {{ x{n}: next {{ ...F{n + 1} }} y{n}: next {{ ...F{n + 1} }} }}"
        for n in range(levels)
    ]
    return f"{{ all {{ ...F0 }} }} {' '.join(fragments)} fragment F{levels} on T0 {{ f1 }}"


async def test_an_operation_past_the_bounds_is_refused_with_a_code_and_not_tried_again(wide):
    planner = Planner(wide)
    document = parse(exploding(20))
    for _ in range(2):
        with pytest.raises(PlanLimitError):
            planner.plan(document)
    with pytest.raises(PlanLimitError):
        planner.recall(planner.key(document))

    limits = Limits(depth=100, aliases=10**9, fields=10**9)
    executor = Executor(wide, LocalSubgraphs({}), options=ExecutorOptions(limits=limits))
    result = await executor.execute(GraphQLRequest(exploding(20)))
    assert result.data is None
    assert [e["extensions"]["code"] for e in result.errors] == ["QUERY_PLAN_LIMIT_EXCEEDED"]


class Plans(ExecutionHooks):
    def __init__(self):
        self.seen = []

    def on_plan(self, context, plan):
        self.seen.append(plan)


@pytest.mark.parametrize("query", ["{ all { __typename } }", f"{{ all {{ {deep(4)} }} }}"])
async def test_requests_that_come_together_share_one_planning(wide, query):
    hooks = Plans()
    executor = Executor(wide, LocalSubgraphs({}), hooks=hooks)

    await asyncio.gather(*(executor.execute(GraphQLRequest(query)) for _ in range(20)))

    assert len(hooks.seen) == 20
    assert len({id(plan) for plan in hooks.seen}) == 1


def test_a_plan_is_remembered_by_what_it_depends_on():
    graph, _ = composed(
        a='type Query { t: T } type T @key(fields: "id") { id: ID! n: Int m: Int }',
        b='type T @key(fields: "id") { id: ID! n: Int @override(from: "a", label: "moved") }',
    )
    planner = Planner(graph)
    document = parse("query A { t { n } } query B { t { m } }")
    denied = frozenset({("T", "n")})

    first = planner.plan(document, "A")

    assert planner.plan(parse("query A{t{n}}query B{t{m}}"), "A") is first
    assert planner.plan(document, "A", override_labels=frozenset({"unknown"})) is first
    assert planner.plan(document, "B") is not first
    assert len(planner.plan(document, "A", override_labels=frozenset({"moved"})).fetches) == 2
    assert planner.plan(document, "A", denied=denied).lost == (("t", "n"),)


def test_only_so_many_plans_are_kept():
    graph, _ = composed(a="type Query { x: Int }")
    planner = Planner(graph, cache_size=2)
    documents = [parse(f"{{ x{n}: x }}") for n in range(3)]
    plans = [planner.plan(d) for d in documents]

    assert planner.plan(documents[2]) is plans[2]
    assert planner.recall(planner.key(documents[0])) is None


def test_the_reference_tells_the_bounds_that_are_in_force():
    text = (Path(__file__).parents[3] / "docs/reference/federation.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z ]+?) \| ([\d ]+?) \|", text, re.MULTILINE))

    assert {name: int(figure.replace(" ", "")) for name, figure in rows.items()} == {
        "selections after fragments are expanded": MAX_SELECTIONS,
        "decisions while planning": MAX_DECISIONS,
        "seconds of planning": MAX_SECONDS,
        "fetches of a plan": MAX_STEPS,
        "fields over all fetches": MAX_PLACED,
    }
    assert f"over {INLINE_PLAN_SIZE // 1000} 000" in text.replace("\n", " ")
