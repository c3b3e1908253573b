"""What the demonstration asks the graph, and how it reads the answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twinmesh_local.demo.gateway import Graph
from twinmesh_local.plant.model import SYSTEM
from twinmesh_sdk.core.errors import LimitExceededError

WHOLE_S: Final = 60.0
ASSETS_PER_QUERY: Final = 20
PAGE: Final = 100
MAX_ITEMS: Final = 20_000

TRUST: Final = """
fragment TrustParts on Trust {
  verdict quality observedAt arrivedAt decision budgetS ageS configurationVersion modelVersion
  reasons { code subject detail }
}
"""

EVERYWHERE: Final = """
{
  assets(first: 1) { nodes { id name } }
  ingest { received }
  workItems(first: 1) { nodes { id } }
  contracts(first: 1) { nodes { service } }
  energyMethod
}
"""
"""Touches every subgraph that has a root field: the first federated answer."""

INGEST: Final = """
{ ingest { received stored duplicate quarantined processedSequence receivedSequence } }
"""

ASSET_FIELDS: Final = """
fragment AssetParts on Asset {
  id name assetClass
  configurations { id label validFrom recordedAt }
  signals { name latest { value trust { ...TrustParts } } }
  maintenance { state since modelVersion configurationVersion trust { ...TrustParts } }
}
"""

WORK_ITEMS: Final = """
query WorkItems($after: String, $page: Int!) {
  workItems(first: $page, after: $after) {
    nodes {
      id status failureMode openedAt closedAt configurationVersion modelVersion traceId
      asset { id name }
      probability { value event horizonS calibration }
      evidence { signal unit expected observed since share }
      trust { ...TrustParts }
      degradation { from to energy { wastedWh lo90Wh hi90Wh method } }
    }
    pageInfo { hasNextPage endCursor }
  }
}
"""


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """What became of every reading received, and how far telemetry got."""

    received: int
    stored: int
    duplicate: int
    quarantined: int
    processed_sequence: int
    received_sequence: int

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way any more."""
        return self.processed_sequence >= self.received_sequence and self.balanced

    @property
    def balanced(self) -> bool:
        """Whether every reading is accounted for."""
        return self.received == self.stored + self.duplicate + self.quarantined


def ingest_counts(graph: Graph, *, deadline_s: float = WHOLE_S) -> IngestCounts:
    """Return telemetry's counts."""
    found = graph.ask_until(INGEST, deadline_s=deadline_s)["ingest"]
    return IngestCounts(
        received=int(found["received"]),
        stored=int(found["stored"]),
        duplicate=int(found["duplicate"]),
        quarantined=int(found["quarantined"]),
        processed_sequence=int(found["processedSequence"]),
        received_sequence=int(found["receivedSequence"]),
    )


def assets_by_name(
    graph: Graph, names: Sequence[str], *, deadline_s: float = WHOLE_S
) -> dict[str, dict[str, Any] | None]:
    """Return what the mesh knows of assets, by the plant's own names; None: it knows no such."""
    found: dict[str, dict[str, Any] | None] = {}
    for first in range(0, len(names), ASSETS_PER_QUERY):
        part = names[first : first + ASSETS_PER_QUERY]
        variables = {f"v{i}": name for i, name in enumerate(part)}
        declared = ", ".join(f"${key}: String!" for key in variables)
        fields = "\n".join(
            f'a{i}: assetByAlias(system: "{SYSTEM}", value: $v{i}) {{ ...AssetParts }}'
            for i in range(len(part))
        )
        query = f"query Assets({declared}) {{ {fields} }} {ASSET_FIELDS} {TRUST}"
        data = graph.ask_until(query, variables, deadline_s=deadline_s)
        found |= {name: data[f"a{i}"] for i, name in enumerate(part)}
    return found


def work_items(graph: Graph, *, deadline_s: float = WHOLE_S) -> list[dict[str, Any]]:
    """Return every work item, the first opened first.

    Raises:
        LimitExceededError: There are more than anyone would read.
    """
    items = list(_pages(graph, deadline_s))
    return sorted(items, key=lambda item: (item["openedAt"], item["id"]))


def _pages(graph: Graph, deadline_s: float) -> Iterator[dict[str, Any]]:
    after: str | None = None
    count = 0
    while True:
        variables: Mapping[str, Any] = {"after": after, "page": PAGE}
        page = graph.ask_until(WORK_ITEMS + TRUST, variables, deadline_s=deadline_s)["workItems"]
        yield from page["nodes"]
        count += len(page["nodes"])
        if not page["pageInfo"]["hasNextPage"]:
            return
        if count > MAX_ITEMS:
            raise LimitExceededError(f"more than {MAX_ITEMS} work items")
        after = page["pageInfo"]["endCursor"]
