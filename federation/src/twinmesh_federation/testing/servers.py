"""Real servers on loopback: an ASGI application by uvicorn, a subgraph that also sends events."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import orjson
import uvicorn
from aiohttp import web
from starlette.types import ASGIApp

from twinmesh_federation.testing.local import LocalSubgraph

START_S: Final = 10.0
STOP_S: Final = 10.0
_NEXT_EVENTS: Final = 1_000


@asynccontextmanager
async def served(app: ASGIApp, **options: Any) -> AsyncIterator[str]:  # noqa: ANN401 - uvicorn's
    """Serve an ASGI application; gives its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=2, **options
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(START_S):
            while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        async with asyncio.timeout(STOP_S):
            await serving


class EventSubgraph:
    """A subgraph that answers queries, and sends to its subscribers what a test emits.

    Speaks `graphql-sse` and `graphql-transport-ws`, written apart from what the engine speaks.

    Attributes:
        answers: How it answers queries.
        subscribers: How many subscriptions are open.
        opened: What each subscription asked, in order: headers, body.
    """

    def __init__(self, answers: LocalSubgraph) -> None:
        self.answers = answers
        self.opened: list[tuple[dict[str, str], dict[str, Any]]] = []
        self._queues: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._changed = asyncio.Condition()

    @property
    def subscribers(self) -> int:
        """Count the open subscriptions."""
        return len(self._queues)

    async def emit(self, data: dict[str, Any] | None) -> None:
        """Send an event to every subscriber; None completes all subscriptions."""
        for queue in self._queues:
            queue.put_nowait(None if data is None else {"data": data})

    async def until(self, subscribers: int) -> None:
        """Wait until that many subscriptions are open."""
        async with asyncio.timeout(START_S), self._changed:
            await self._changed.wait_for(lambda: self.subscribers == subscribers)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port; gives the address for queries and subscriptions."""
        app = web.Application()
        app.router.add_route("*", "/graphql", self._dispatch)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/graphql"
        finally:
            await runner.cleanup()

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        # Looked up for each request: a test may put something in its place.
        return await self._handle(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await self._websocket(request)
        body = await request.json()
        if "text/event-stream" in request.headers.get("accept", ""):
            return await self._sse(request, body)
        answer = await self.answers.answer(body)
        payload: dict[str, Any] = {"data": answer.data, "extensions": answer.extensions}
        if answer.errors:
            payload["errors"] = answer.errors
        return web.Response(body=orjson.dumps(payload), content_type="application/json")

    @asynccontextmanager
    async def _queue(
        self, headers: dict[str, str], body: dict[str, Any]
    ) -> AsyncIterator[asyncio.Queue[dict[str, Any] | None]]:
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_NEXT_EVENTS)
        await self._note(queue, (headers, body))
        try:
            yield queue
        finally:
            await self._note(queue, None)

    async def _note(
        self,
        queue: asyncio.Queue[dict[str, Any] | None],
        opened: tuple[dict[str, str], dict[str, Any]] | None,
    ) -> None:
        async with self._changed:
            if opened is None:
                self._queues.discard(queue)
            else:
                self._queues.add(queue)
                self.opened.append(opened)
            self._changed.notify_all()

    async def _sse(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        async with self._queue(_lower(request), body) as queue:
            await response.prepare(request)
            while (event := await self._next(queue, request)) is not None:
                await response.write(b"event: next\ndata: " + orjson.dumps(event) + b"\n\n")
            with suppress(ConnectionError):
                await response.write(b"event: complete\ndata: \n\n")
        return response

    @staticmethod
    async def _next(
        queue: asyncio.Queue[dict[str, Any] | None], request: web.Request
    ) -> dict[str, Any] | None:
        """Return the next event; None at the end, or once the caller is gone."""
        while request.transport is not None and not request.transport.is_closing():
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    return await queue.get()
        return None

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await ws.prepare(request)
        init = await ws.receive_json()
        assert init["type"] == "connection_init"
        await ws.send_json({"type": "ping"})
        assert (await ws.receive_json())["type"] == "pong"
        await ws.send_json({"type": "connection_ack"})
        asked = await ws.receive_json()
        async with self._queue(_lower(request), asked["payload"]) as queue:
            sending = asyncio.create_task(_send(ws, asked["id"], queue))
            async for message in ws:
                is_text = message.type is aiohttp.WSMsgType.TEXT
                if is_text and orjson.loads(message.data)["type"] == "complete":
                    break
            sending.cancel()
            await asyncio.wait({sending})
        await ws.close()
        return ws


async def _send(
    ws: web.WebSocketResponse, operation_id: str, queue: asyncio.Queue[dict[str, Any] | None]
) -> None:
    while (event := await queue.get()) is not None:
        await ws.send_json({"id": operation_id, "type": "next", "payload": event})
    await ws.send_json({"id": operation_id, "type": "complete"})


def _lower(request: web.Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
