"""The federation gateway audit: each query over subgraphs that know its expected answer."""

import json
import os
from pathlib import Path

import pytest
from graphql import parse, validate

from twinmesh_federation import (
    CompositionFailed,
    Executor,
    GraphQLRequest,
    Subgraph,
    compose,
    load_supergraph,
)
from twinmesh_federation.testing.oracle import Oracle

ROOT = Path(__file__).parents[3]
CASES = Path(os.environ.get("TWINMESH_CASES", ROOT.parent / "shared" / "cases")) / "federation"
SUITES = sorted(CASES.glob("audit/*.json"))

pytestmark = [
    pytest.mark.cases,
    pytest.mark.skipif(
        not SUITES, reason="audit suites absent: set TWINMESH_CASES to the folder with federation/"
    ),
]


def read(path):
    return json.loads(path.read_text())


def queries():
    for path in SUITES:
        suite = read(path)
        for number, test in enumerate(suite["tests"]):
            yield pytest.param(path, number, id=test["name"])


def count(node):
    if node is None:
        return 0
    if node["kind"] in {"Fetch", "BatchFetch"}:
        return 1
    inner = list(node.get("nodes", ()))
    inner += [node[k] for k in ("node", "ifClause", "elseClause") if node.get(k)]
    return sum(map(count, inner))


@pytest.fixture(scope="module")
def composed():
    known = {}

    def of(path, origin):
        if (path, origin) not in known:
            suite = read(path)
            subgraphs = [Subgraph(s["name"], s["url"], s["sdl"]) for s in suite["subgraphs"]]
            if origin == "own":
                result = compose(subgraphs)
                assert not isinstance(result, CompositionFailed), result.errors
                supergraph = result.supergraph
            else:
                supergraph = load_supergraph(suite["supergraph_sdl"])
            known[path, origin] = (supergraph, subgraphs)
        return known[path, origin]

    return of


@pytest.mark.parametrize("origin", ["given", "own"])
@pytest.mark.parametrize(("path", "number"), list(queries()))
async def test_the_answer_is_the_expected_one_with_no_more_fetches_than_the_reference(
    path, number, origin, composed
):
    supergraph, subgraphs = composed(path, origin)
    test = read(path)["tests"][number]
    expected = test["expected"]
    reference = read(CASES / "plans" / path.name).get(test["name"], {})
    document = parse(test["query"])
    invalid = bool(validate(supergraph.api_schema, document))
    data = None if invalid else expected.get("data")
    oracle = Oracle(supergraph, parse("{ __typename }") if invalid else document, data)
    client = oracle.subgraphs(subgraphs)

    result = await Executor(supergraph, client).execute(
        GraphQLRequest(test["query"], variables=test["variables"] or {})
    )

    if expected.get("errors") and data is None:
        if origin == "own" and "error" in reference:
            pytest.skip("only the given, corrupted supergraph makes it fail")
        assert result.errors
        assert result.data is None
        return
    assert result.data == data, (result.errors, [s.requests for s in client.subgraphs.values()])
    assert not result.errors
    assert not oracle.violations
    if "node" in reference:
        assert len(client.sent) <= count(reference["node"])
