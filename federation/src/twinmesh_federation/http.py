"""GraphQL over HTTP for Starlette: one handler, mounted wherever a route is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.result import (
    ExecutionResult,
    GraphQLRequest,
    encode,
    request_error,
)
from twinmesh_federation.serving.csrf import CsrfPolicy
from twinmesh_federation.serving.event_stream import EVENT_STREAM, EventStreamResponse
from twinmesh_federation.serving.pipeline import ContextFactory, Finish, Pipeline
from twinmesh_federation.serving.refusal import RefusedRequest
from twinmesh_federation.serving.requests import graphql_request
from twinmesh_federation.serving.websocket import WebSocketEndpoint

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
DEFAULT_MAX_BODY_BYTES: Final = 2 * 1024 * 1024

__all__ = [
    "GRAPHQL_RESPONSE",
    "GraphQLEndpoint",
    "GraphQLHandler",
    "RefusedRequest",
    "WebSocketEndpoint",
    "accepted_media",
    "application",
    "encoded",
    "status_of",
]


class GraphQLHandler:
    """Answers POST and GET as the GraphQL over HTTP specification says.

    Args:
        pipeline: What each request passes; an engine alone makes a plain one.
        context: Makes the request's context for the hooks; may raise `RefusedRequest`.
        finish: Sees each result before it is encoded, and may add to `result.extensions`.
        max_body_bytes: Longer request bodies are answered 413.
        csrf: Which requests are refused because another site's page may stand behind them.
    """

    def __init__(
        self,
        pipeline: Pipeline | Engine,
        *,
        context: ContextFactory | None = None,
        finish: Finish | None = None,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        csrf: CsrfPolicy | None = None,
    ) -> None:
        if isinstance(pipeline, Engine):
            pipeline = Pipeline(pipeline, context=context, finish=finish)
        self._pipeline = pipeline
        self._max_body_bytes = max_body_bytes
        self._csrf = csrf

    async def __call__(self, request: Request) -> Response:
        """Answer one HTTP request."""
        accepted = accepted_media(request.headers.get("accept"))
        if accepted is None:
            return encoded(
                request_error(
                    f"Accept must allow {GRAPHQL_RESPONSE}, {JSON} or {EVENT_STREAM}.",
                    "NOT_ACCEPTABLE",
                ),
                JSON, 406,
            )  # fmt: skip
        media = JSON if accepted == EVENT_STREAM else accepted
        if request.method not in ("GET", "POST"):
            failure = request_error("GraphQL takes GET and POST.", "METHOD_NOT_ALLOWED")
            return encoded(failure, media, 405, {"allow": "GET, POST"})
        try:
            if self._csrf is not None and request.method == "GET":
                self._csrf.check(request.headers)
            asked, admitted = await self._pipeline.admit(request, await self._read(request))
            self._check_kind(request.method, self._pipeline.kind_of(asked), accepted)
        except RefusedRequest as refusal:
            failure = request_error(str(refusal), refusal.code, **refusal.extensions)
            status = 400 if refusal.status == 200 and media == GRAPHQL_RESPONSE else refusal.status
            return encoded(failure, media, status, refusal.headers)
        if accepted == EVENT_STREAM:
            return EventStreamResponse(self._pipeline, asked, admitted)
        result = await self._pipeline.execute(asked, admitted)
        return encoded(result, media, status_of(result, media))

    @staticmethod
    def _check_kind(method: str, kind: str | None, accepted: str) -> None:
        """Refuse operations that this method, or this media type, does not take."""
        if method == "GET" and kind == "mutation":
            raise RefusedRequest(
                405, "METHOD_NOT_ALLOWED", "GET takes no mutations.", headers={"allow": "POST"}
            )
        if kind == "subscription" and accepted != EVENT_STREAM:
            raise RefusedRequest(
                405 if method == "GET" else 400,
                "BAD_REQUEST",
                f"Subscriptions are answered to Accept: {EVENT_STREAM}, or over a WebSocket.",
            )

    async def _read(self, request: Request) -> GraphQLRequest:
        if request.method == "GET":
            return self._from_query(request)
        content_type = request.headers.get("content-type", "")
        kind, _, parameters = content_type.partition(";")
        if kind.strip().lower() not in (JSON, GRAPHQL_RESPONSE):
            raise RefusedRequest(415, "UNSUPPORTED_MEDIA_TYPE", f"POST takes content type {JSON}.")
        if "charset" in parameters.lower() and "utf-8" not in parameters.lower():
            raise RefusedRequest(415, "UNSUPPORTED_MEDIA_TYPE", "POST takes charset utf-8.")
        body = await self._body(request)
        try:
            payload = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise RefusedRequest(400, "BAD_REQUEST", "The body is not JSON.") from None
        if not isinstance(payload, dict):
            raise RefusedRequest(400, "BAD_REQUEST", "The body must be one JSON object.")
        return graphql_request(payload)

    def _from_query(self, request: Request) -> GraphQLRequest:
        payload: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if payload.get(name):
                try:
                    payload[name] = orjson.loads(payload[name])
                except orjson.JSONDecodeError:
                    raise RefusedRequest(400, "BAD_REQUEST", f"{name} is not JSON.") from None
            else:
                payload.pop(name, None)
        return graphql_request(payload)

    async def _body(self, request: Request) -> bytes:
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > self._max_body_bytes:
                    raise self._too_large()
                parts.append(chunk)
        except ClientDisconnect as error:
            raise HTTPException(499) from error
        return b"".join(parts)

    def _too_large(self) -> RefusedRequest:
        return RefusedRequest(
            413, "LIMIT_EXCEEDED", f"The body is longer than {self._max_body_bytes} bytes."
        )


def accepted_media(accept: str | None) -> str | None:
    """Choose the answer's media type; None when the client takes neither."""
    if not accept or not accept.strip():
        return JSON
    best: tuple[float, int, str] | None = None
    for position, part in enumerate(accept.split(",")):
        name, *parameters = (p.strip().lower() for p in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        media = {
            GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
            JSON: JSON,
            "*/*": JSON,
            "application/*": JSON,
            EVENT_STREAM: EVENT_STREAM,
        }.get(name)
        if media is None or quality <= 0:
            continue
        if best is None or (-quality, position) < best[:2]:
            best = (-quality, position, media)
    return None if best is None else best[2]


def status_of(result: ExecutionResult, media: str) -> int:
    """Return the HTTP status that the specification asks for."""
    if result.has_data:
        return 200
    codes = {(e.get("extensions") or {}).get("code") for e in result.errors}
    if "UNAVAILABLE" in codes:
        return 503
    if media == GRAPHQL_RESPONSE or "BAD_REQUEST" in codes:
        return 400
    return 200


def encoded(
    result: ExecutionResult,
    media: str,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Encode a result."""
    body = encode(result)
    return Response(
        body,
        status_code=status,
        headers=dict(headers or {}),
        media_type=f"{media}; charset=utf-8",
    )


def application(
    engine: Engine,
    handler: GraphQLHandler,
    *,
    websocket: WebSocketEndpoint | None = None,
    middleware: Sequence[Middleware] = (),
    beside: Sequence[Callable[[], Awaitable[None]]] = (),
    on_stop: Sequence[Callable[[], Awaitable[None]]] = (),
) -> Starlette:
    """Build a plain gateway: `/graphql` and `/healthz`, for a server to run.

    Args:
        beside: Run while the server does, cancelled at its end.
        on_stop: Awaited once no request runs any more.
    """

    async def health(_: Request) -> Response:
        ready = engine.executor is not None
        return Response(
            orjson.dumps({"status": "ok" if ready else "no supergraph"}),
            status_code=200 if ready else 503,
            media_type=JSON,
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(run()) for run in beside]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.drain()
        for stop in on_stop:
            await stop()
        await engine.close()

    routes: list[BaseRoute] = [
        Route("/graphql", GraphQLEndpoint(handler)),
        Route("/healthz", health, methods=["GET"]),
    ]
    if websocket is not None:
        routes.append(WebSocketRoute("/graphql", websocket))
    return Starlette(routes=routes, middleware=list(middleware), lifespan=lifespan)


class GraphQLEndpoint:
    """The handler as an ASGI application, so that every method reaches it."""

    def __init__(self, handler: GraphQLHandler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._handler(Request(scope, receive))
        await response(scope, receive, send)
