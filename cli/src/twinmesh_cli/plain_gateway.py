"""A federation gateway without the mesh: what `twinmesh federation serve` runs."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from twinmesh_federation import Engine, GraphQLRequest
from twinmesh_federation.http import (
    GraphQLHandler,
    RefusedRequest,
    WebSocketEndpoint,
    application,
)
from twinmesh_federation.serving import (
    CsrfPolicy,
    DocumentPolicy,
    ErrorMasking,
    RateLimit,
    RateLimiter,
)
from twinmesh_federation.serving.cors import cors
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.subscriptions import AiohttpSubscriptionClient, Subscriptions

MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Door:
    """Who may ask a plain gateway, and how.

    Attributes:
        token: The bearer token demanded; None demands none.
        origins: Origins of pages that may ask.
        protocols: "ws" or "sse" by subgraph, for its events.
    """

    token: str | None = None
    documents: DocumentPolicy | None = None
    rate: RateLimit | None = None
    origins: frozenset[str] = frozenset()
    strict_csrf: bool = False
    protocols: Mapping[str, str] = field(default_factory=dict)
    masking: ErrorMasking | None = None


def gateway(engine: Engine, door: Door) -> Starlette:
    """Return the gateway, for a server to run."""
    limiter = None if door.rate is None else RateLimiter(door.rate)
    check = None if door.token is None else _bearer_check(door.token)

    def context(connection: HTTPConnection, _request: GraphQLRequest) -> None:
        if check is not None and not isinstance(connection, WebSocket):
            check(connection.headers.get("authorization", ""))
        if limiter is not None:
            limiter.take(connection.client.host if connection.client else "")

    def connect(_socket: WebSocket, payload: dict[str, Any]) -> None:
        if check is not None:
            check(str(payload.get("authorization") or payload.get("Authorization") or ""))

    csrf = CsrfPolicy(door.origins, strict=door.strict_csrf)
    subscriptions = Subscriptions(engine, AiohttpSubscriptionClient(protocols=door.protocols))
    pipeline = Pipeline(
        engine,
        context=context if check is not None or limiter is not None else None,
        documents=door.documents,
        masking=door.masking,
        subscriptions=subscriptions,
    )
    return application(
        engine,
        GraphQLHandler(pipeline, csrf=csrf),
        websocket=WebSocketEndpoint(pipeline, connect=connect, csrf=csrf),
        middleware=[cors(door.origins)] if door.origins else [],
        on_stop=[subscriptions.close],
    )


def _bearer_check(token: str) -> Callable[[str], None]:
    expected = f"Bearer {token}".encode()

    def check(given: str) -> None:
        if not hmac.compare_digest(given.encode(), expected):
            raise RefusedRequest(
                401, "UNAUTHENTICATED", "A bearer token is needed.",
                headers={"www-authenticate": "Bearer"},
            )  # fmt: skip

    return check
