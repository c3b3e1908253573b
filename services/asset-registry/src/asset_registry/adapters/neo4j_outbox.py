"""Outbox nodes, saved beside the facts they announce, for the relay."""

from collections.abc import Sequence
from typing import Final, LiteralString

from neo4j import AsyncManagedTransaction

from asset_registry import wire
from asset_registry.adapters.neo4j_graph import Graph, rows_of
from twinmesh_sdk.ports.outbox import OutboxEntry

_PENDING: Final[LiteralString] = """
MATCH (o:Outbox)
RETURN o ORDER BY o.recorded_us, o.ordinal, o.id LIMIT $limit
"""
_DELETE: Final[LiteralString] = "UNWIND $ids AS id MATCH (o:Outbox {id: id}) DELETE o"


class Neo4jOutbox:
    """See `OutboxStore`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def pending(self, limit: int) -> Sequence[OutboxEntry]:
        """See `OutboxStore.pending`."""
        rows = await self._graph.read(_PENDING, limit=limit)
        return [OutboxEntry(row["o"]["id"], wire.envelope_of(row["o"])) for row in rows]

    async def delete(self, keys: Sequence[str]) -> None:
        """See `OutboxStore.delete`."""
        if not keys:
            return

        async def work(transaction: AsyncManagedTransaction) -> None:
            await rows_of(transaction, _DELETE, ids=list(keys))

        await self._graph.write(work)
