"""A federation gateway without the mesh: what `twinmesh federation serve` runs."""

from __future__ import annotations

import asyncio
import hmac
import signal
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from twinmesh_federation import Engine, ExecutionHooks, GraphQLRequest, Supergraph
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
from twinmesh_federation.serving.propagation import HeaderRules
from twinmesh_federation.subscriptions import AiohttpSubscriptionClient, Subscriptions

MAX_MESSAGE_BYTES: Final = 2 * 1024 * 1024
LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    """Who may ask a plain gateway, and how.

    Attributes:
        token: The bearer token demanded; None demands none.
        origins: Origins of pages that may ask.
        protocols: "ws" or "sse" by subgraph, for its events.
        forwarded: Headers that go on; the engine's hooks are `Forwarding` by the same rules.
    """

    token: str | None = None
    documents: DocumentPolicy | None = None
    rate: RateLimit | None = None
    origins: frozenset[str] = frozenset()
    strict_csrf: bool = False
    protocols: Mapping[str, str] = field(default_factory=dict)
    masking: ErrorMasking | None = None
    forwarded: HeaderRules = field(default_factory=HeaderRules)


class Forwarding(ExecutionHooks):
    """Sends headers of the client's request on; the request's context is those that rules read."""

    def __init__(self, rules: HeaderRules) -> None:
        self._rules = rules

    def headers(self, context: object, service: str) -> Mapping[str, str]:
        """See `ExecutionHooks.headers`."""
        return self._rules.headers(context if isinstance(context, dict) else {}, service)


def forwarding(names: Iterable[str]) -> HeaderRules:
    """Return rules that send the named headers on to every subgraph.

    Raises:
        HeaderRulesError: A name is none, or names a header that the gateway sets itself.
    """
    return HeaderRules.of({"name": name} for name in names)


class Reload:
    """Takes up a supergraph anew on SIGHUP, and when its file changes if wanted.

    Args:
        load: Reads the supergraph; what it raises is told, and the last one keeps serving.
        watched: The file to look at every `LOOK_S`; None for none.
    """

    def __init__(
        self, engine: Engine, load: Callable[[], Supergraph], *, watched: Path | None = None
    ) -> None:
        self._engine = engine
        self._load = load
        self._watched = watched
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Wait for reasons to reload, until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._wanted.set)
        seen = self._stamp()
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if self._watched else None):
                        await self._wanted.wait()
                if self._wanted.is_set() or self._stamp() != seen:
                    seen = self._stamp()
                    self._wanted.clear()
                    await self._reload()
        finally:
            loop.remove_signal_handler(signal.SIGHUP)

    async def _reload(self) -> None:
        try:
            supergraph = await asyncio.to_thread(self._load)
        except (click.ClickException, OSError) as error:
            told = error.format_message() if isinstance(error, click.ClickException) else error
            click.echo(f"supergraph not reloaded: {told}", err=True)
            return
        await self._engine.take_up(supergraph)
        click.echo("supergraph reloaded", err=True)

    def _stamp(self) -> tuple[int, int] | None:
        if self._watched is None:
            return None
        try:
            found = self._watched.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


def gateway(engine: Engine, door: Door, *, reload: Reload | None = None) -> Starlette:
    """Return the gateway, for a server to run."""
    limiter = None if door.rate is None else RateLimiter(door.rate)
    check = None if door.token is None else _bearer_check(door.token)

    def context(connection: HTTPConnection, _request: GraphQLRequest) -> dict[str, str]:
        if check is not None and not isinstance(connection, WebSocket):
            check(connection.headers.get("authorization", ""))
        if limiter is not None:
            limiter.take(connection.client.host if connection.client else "")
        return door.forwarded.kept(connection.headers)

    def connect(_socket: WebSocket, payload: dict[str, Any]) -> None:
        if check is not None:
            check(str(payload.get("authorization") or payload.get("Authorization") or ""))

    csrf = CsrfPolicy(door.origins, strict=door.strict_csrf)
    subscriptions = Subscriptions(engine, AiohttpSubscriptionClient(protocols=door.protocols))
    pipeline = Pipeline(
        engine,
        context=context if check or limiter or door.forwarded.names else None,
        documents=door.documents,
        masking=door.masking,
        subscriptions=subscriptions,
    )
    return application(
        engine,
        GraphQLHandler(pipeline, csrf=csrf),
        websocket=WebSocketEndpoint(pipeline, connect=connect, csrf=csrf),
        middleware=[cors(door.origins)] if door.origins else [],
        beside=[] if reload is None else [reload.run],
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
