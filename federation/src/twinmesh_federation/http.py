"""GraphQL over HTTP for Starlette: one handler, mounted wherever a route is wanted."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.executor import PreparedOperation
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, request_error

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
DEFAULT_MAX_BODY_BYTES: Final = 2 * 1024 * 1024

ContextFactory = Callable[[Request, GraphQLRequest], "Awaitable[object] | object"]
Finish = Callable[[object, ExecutionResult], None]


class RefusedRequest(Exception):  # noqa: N818 - an outcome that a context factory may raise
    """A request that is answered before GraphQL sees it, e.g. for want of a valid token.

    Attributes:
        status: HTTP status of the answer.
        code: `extensions.code` of its one error.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})


class GraphQLHandler:
    """Answers POST and GET as the GraphQL over HTTP specification says.

    Args:
        engine: Who executes.
        context: Makes the request's context for the hooks; may raise `RefusedRequest`.
        finish: Sees each result before it is encoded, and may add to `result.extensions`.
        max_body_bytes: Longer request bodies are answered 413.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        context: ContextFactory | None = None,
        finish: Finish | None = None,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    ) -> None:
        self._engine = engine
        self._context = context
        self._finish = finish
        self._max_body_bytes = max_body_bytes

    async def __call__(self, request: Request) -> Response:
        """Answer one HTTP request."""
        media = accepted_media(request.headers.get("accept"))
        if media is None:
            return encoded(
                request_error(f"Accept must allow {GRAPHQL_RESPONSE} or {JSON}.", "NOT_ACCEPTABLE"),
                JSON, 406,
            )  # fmt: skip
        if request.method not in ("GET", "POST"):
            failure = request_error("GraphQL takes GET and POST.", "METHOD_NOT_ALLOWED")
            return encoded(failure, media, 405, {"allow": "GET, POST"})
        try:
            graphql_request = await self._read(request)
            context: object = None
            if self._context is not None:
                made = self._context(request, graphql_request)
                context = await made if inspect.isawaitable(made) else made
        except RefusedRequest as refusal:
            failure = request_error(str(refusal), refusal.code, **refusal.extensions)
            return encoded(failure, media, refusal.status, refusal.headers)
        if request.method == "GET" and self._mutates(graphql_request):
            failure = request_error("GET takes queries only.", "METHOD_NOT_ALLOWED")
            return encoded(failure, media, 405, {"allow": "POST"})
        result = await self._engine.execute(graphql_request, context=context)
        if self._finish is not None:
            self._finish(context, result)
        return encoded(result, media, status_of(result, media))

    def _mutates(self, request: GraphQLRequest) -> bool:
        executor = self._engine.executor
        if executor is None:
            return False
        prepared = executor.prepare(request)
        return isinstance(prepared, PreparedOperation) and prepared.kind != "query"

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
        return _request(payload)

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
        return _request(payload)

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


def _request(payload: dict[str, Any]) -> GraphQLRequest:
    """Check a request's parts.

    Raises:
        RefusedRequest: One has the wrong type, or there is no query.
    """
    query = payload.get("query")
    extensions = payload.get("extensions")
    if query is None and not (isinstance(extensions, dict) and "persistedQuery" in extensions):
        raise RefusedRequest(400, "BAD_REQUEST", "Must provide a query string.")
    checks: tuple[tuple[str, type, str], ...] = (
        ("query", str, "a string"),
        ("operationName", str, "a string"),
        ("variables", dict, "an object"),
        ("extensions", dict, "an object"),
    )
    for name, kind, description in checks:
        value = payload.get(name)
        if value is not None and not isinstance(value, kind):
            raise RefusedRequest(400, "BAD_REQUEST", f"{name} must be {description}.")
    return GraphQLRequest(
        query=query,
        operation_name=payload.get("operationName") or None,
        variables=payload.get("variables") or {},
        extensions=extensions or {},
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
    body = orjson.dumps(result.to_json())
    return Response(
        body,
        status_code=status,
        headers=dict(headers or {}),
        media_type=f"{media}; charset=utf-8",
    )


def application(engine: Engine, handler: GraphQLHandler) -> Starlette:
    """Build a plain gateway: `/graphql` and `/healthz`, for a server to run."""

    async def health(_: Request) -> Response:
        ready = engine.executor is not None
        return Response(
            orjson.dumps({"status": "ok" if ready else "no supergraph"}),
            status_code=200 if ready else 503,
            media_type=JSON,
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await engine.drain()
        await engine.close()

    return Starlette(
        routes=[
            Route("/graphql", GraphQLEndpoint(handler)),
            Route("/healthz", health, methods=["GET"]),
        ],
        lifespan=lifespan,
    )


class GraphQLEndpoint:
    """The handler as an ASGI application, so that every method reaches it."""

    def __init__(self, handler: GraphQLHandler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._handler(Request(scope, receive))
        await response(scope, receive, send)
