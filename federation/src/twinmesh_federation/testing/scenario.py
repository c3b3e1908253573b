"""A query over a few subgraphs that know its answer: composed, asked, compared, counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from graphql import parse, validate

from twinmesh_federation.composition import CompositionFailed, compose
from twinmesh_federation.execution.executor import Executor
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.execution.result import GraphQLRequest
from twinmesh_federation.issues import Subgraph
from twinmesh_federation.supergraph.model import Supergraph
from twinmesh_federation.testing.oracle import Oracle

DIRECTIVES: Final = (
    "key", "shareable", "external", "requires", "provides", "override", "inaccessible",
    "interfaceObject", "tag",
)  # fmt: skip
_IMPORTS: Final = ", ".join(f'"@{name}"' for name in DIRECTIVES)
HEADER: Final = (
    f'extend schema @link(url: "https://specs.apollo.dev/federation/v2.7", import: [{_IMPORTS}])\n'
)


class _Labels(ExecutionHooks):
    def __init__(self, labels: frozenset[str]) -> None:
        self._labels = labels

    def override_labels(self, context: object) -> frozenset[str]:  # noqa: ARG002
        return self._labels


def composed(*, header: str = HEADER, **sdls: str) -> tuple[Supergraph, list[Subgraph]]:
    """Compose subgraphs given by name; the header links federation 2.7."""
    subgraphs = [Subgraph(n, f"http://{n}", header + sdl) for n, sdl in sdls.items()]
    result = compose(subgraphs)
    if isinstance(result, CompositionFailed):
        raise AssertionError(result.errors)
    return result.supergraph, subgraphs


async def answered(
    supergraph: Supergraph,
    subgraphs: list[Subgraph],
    query: str,
    data: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    *,
    labels: frozenset[str] = frozenset(),
) -> list[str]:
    """Run a query whose answer the subgraphs know; return the subgraphs asked, in order.

    Raises:
        AssertionError: Another answer, or a subgraph was asked what it cannot answer.
    """
    document = parse(query)
    invalid = validate(supergraph.api_schema, document)
    if invalid:
        raise AssertionError(invalid)
    oracle = Oracle(supergraph, document, data, variables)
    client = oracle.subgraphs(subgraphs)
    executor = Executor(supergraph, client, hooks=_Labels(labels))
    result = await executor.execute(GraphQLRequest(query, variables=variables or {}))
    asked = [s.requests for s in client.subgraphs.values()]
    if result.data != data or result.errors or oracle.violations:
        raise AssertionError((result.data, result.errors, oracle.violations, asked))
    return client.sent
