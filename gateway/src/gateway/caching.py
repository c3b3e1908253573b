"""Which entities may be kept between requests, and what tells their requests apart."""

import hashlib
from collections.abc import Hashable

from prometheus_client import Counter

from gateway.request_times import EXTENSION
from twinmesh_federation.execution.client import SubgraphRequest, SubgraphResponse

ENTITIES = Counter(
    "twinmesh_gateway_cached_entities",
    "Look-ups of entities of types that are kept, by subgraph and outcome",
    ["subgraph", "outcome"],
)
_OF_THIS_REQUEST = frozenset(("traceparent", "tracestate", "tm-now", "tm-as-of", "tm-deadline-ms"))


def vary(request: SubgraphRequest) -> Hashable:
    """Return what tells requests apart: caller, tenant, times, propagated headers.

    A request about now is one about now, whenever that is: the entity's age is told. One about an
    earlier time shares with those about exactly that time.
    """
    headers = request.headers
    as_of = headers.get("tm-as-of")
    live = as_of is None or as_of == headers.get("tm-now")
    others = tuple(
        (name, _kept(name, value))
        for name, value in sorted(headers.items())
        if name not in _OF_THIS_REQUEST
    )
    return "now" if live else as_of, others


def _kept(name: str, value: str) -> str:
    """Return a header's value as part of a key: of a token only its digest stays in memory."""
    return hashlib.sha256(value.encode()).hexdigest() if name == "authorization" else value


def keeps(response: SubgraphResponse) -> bool:
    """Tell whether an answer's entities may be kept.

    Those whose answer states a trust or carries derived outputs may not: a verdict is the clock's
    and holds for its moment only, and an output that is read leaves a receipt.
    """
    mesh = response.extensions.get(EXTENSION)
    return not (isinstance(mesh, dict) and mesh)


def count(subgraph: str, hits: int, misses: int) -> None:
    """Count look-ups."""
    if hits:
        ENTITIES.labels(subgraph, "hit").inc(hits)
    if misses:
        ENTITIES.labels(subgraph, "miss").inc(misses)
