"""The port to a subgraph, and what it answers or fails with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson


@dataclass(slots=True)
class SubgraphRequest:
    """One GraphQL request to one subgraph.

    Attributes:
        service: The subgraph's name.
        body: The JSON body, encoded.
        headers: What to send besides content type and accept.
        timeout_s: Seconds left; the client gives up by then.
        idempotent: Sending it twice does no harm; false for mutations.
    """

    service: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    timeout_s: float
    idempotent: bool = True


@dataclass(frozen=True, slots=True)
class CachedPart:
    """What of an answer was kept from earlier ones.

    Attributes:
        entities: How many entities.
        types: Of which types.
        oldest_s: Seconds since the oldest of them was fetched.
    """

    entities: int
    types: tuple[str, ...]
    oldest_s: float


@dataclass(slots=True)
class SubgraphResponse:
    """What a subgraph answered, decoded.

    Attributes:
        cached: What did not come from the subgraph just now; None where all did.
    """

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    http_status: int = 200
    cached: CachedPart | None = None


class SubgraphFailure(Exception):  # noqa: N818 - a failure of theirs, not an error of ours
    """A subgraph gave no usable answer.

    Attributes:
        code: TIMEOUT, UNAVAILABLE or BAD_RESPONSE.
        retryable: Repeating the request may help.
    """

    def __init__(self, code: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class SubgraphClient(Protocol):
    """Asks subgraphs."""

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """Send one request.

        Raises:
            SubgraphFailure: No connection, no answer in time, or not a GraphQL answer.
        """
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


def decode_response(service: str, status: int, body: bytes) -> SubgraphResponse:
    """Read a GraphQL answer.

    Raises:
        SubgraphFailure: The body is not one; a 5xx without a GraphQL body is retryable.
    """
    try:
        payload: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        payload = None
    if not isinstance(payload, dict) or not ("data" in payload or "errors" in payload):
        raise SubgraphFailure(
            "BAD_RESPONSE" if status < 500 else "UNAVAILABLE",
            f"subgraph {service} answered HTTP {status} without a GraphQL body",
            retryable=status >= 500,
        )
    data = payload.get("data")
    errors = payload.get("errors")
    extensions = payload.get("extensions")
    return SubgraphResponse(
        data=data if isinstance(data, dict) else None,
        errors=[e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else [],
        extensions=extensions if isinstance(extensions, dict) else {},
        http_status=status,
    )
