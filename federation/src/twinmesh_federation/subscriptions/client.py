"""The port through which a subgraph's events come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from twinmesh_federation.execution.client import SubgraphResponse


@dataclass(frozen=True, slots=True)
class SubscriptionRequest:
    """A subscription of one subgraph.

    Attributes:
        url: Where it takes queries.
        body: The JSON body, encoded.
        headers: What to send besides what the protocol needs.
    """

    service: str
    url: str
    body: bytes
    headers: Mapping[str, str]


class SubscriptionClient(Protocol):
    """Subscribes to subgraphs."""

    def subscribe(
        self, request: SubscriptionRequest
    ) -> AbstractAsyncContextManager[AsyncIterator[SubgraphResponse]]:
        """Open a subscription; leaving the context ends it at the subgraph.

        The iterator ends when the subgraph completes the subscription.

        Raises:
            SubgraphFailure: On entering, no connection; from the iterator, a broken or silent one.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
