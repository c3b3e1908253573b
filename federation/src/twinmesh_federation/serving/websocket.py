"""Operations over WebSockets: the protocol `graphql-transport-ws`.

Source: PROTOCOL.md of the npm package graphql-ws, 6.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from twinmesh_federation.execution.result import ExecutionResult, encode
from twinmesh_federation.serving.csrf import CsrfPolicy
from twinmesh_federation.serving.pipeline import Pipeline
from twinmesh_federation.serving.refusal import RefusedRequest
from twinmesh_federation.serving.requests import graphql_request

PROTOCOL: Final = "graphql-transport-ws"

INVALID_MESSAGE: Final = 4400
UNAUTHORIZED: Final = 4401
FORBIDDEN: Final = 4403
WRONG_PROTOCOL: Final = 4406
INIT_TIMEOUT: Final = 4408
ID_TAKEN: Final = 4409
TOO_MANY: Final = 4429
TRY_AGAIN: Final = 1013
SILENT: Final = 4499
TOO_SLOW: Final = 4498
IDLE: Final = 4497
MAX_ID_CHARS: Final = 200
MAX_REASON_BYTES: Final = 120

Connect = Callable[[WebSocket, dict[str, Any]], "Awaitable[None] | None"]
"""Sees the payload of `connection_init`; may raise `RefusedRequest`."""


def _address_of(socket: WebSocket) -> Hashable:
    return socket.client.host if socket.client else ""


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Bounds on one connection.

    Attributes:
        init_s: Seconds until the client must have sent `connection_init`.
        operations: Operations under way at once.
        message_bytes: Length of a client's message.
        silence_s: Seconds after which a client that answers no ping is given up.
        idle_s: Seconds after which a connection without an operation is closed.
        per_client: Connections open at once for one client.
        total: Connections open at once for all.
    """

    init_s: float = 5.0
    operations: int = 50
    message_bytes: int = 1_000_000
    silence_s: float = 45.0
    idle_s: float = 300.0
    per_client: int = 50
    total: int = 500


class WebSocketEndpoint:
    """An ASGI application for a `WebSocketRoute`.

    Args:
        connect: Authenticates a connection; leaves what it learns in `websocket.state`, where the
            pipeline's context factory finds it.
        client_of: Tells clients apart, once they are connected.
        csrf: Whose pages may connect.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        connect: Connect | None = None,
        client_of: Callable[[WebSocket], Hashable] = _address_of,
        csrf: CsrfPolicy | None = None,
        limits: SocketLimits | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.connect = connect
        self.client_of = client_of
        self.limits = limits or SocketLimits()
        self.clients: Counter[Hashable] = Counter()
        self._open = 0
        self._csrf = csrf or CsrfPolicy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        socket = WebSocket(scope, receive, send)
        try:
            self._csrf.check_origin(socket.headers)
        except RefusedRequest:
            await socket.close(FORBIDDEN)
            return
        if PROTOCOL not in socket.scope.get("subprotocols", ()):
            await socket.accept()
            await socket.close(WRONG_PROTOCOL, "Subprotocol not acceptable")
            return
        await socket.accept(subprotocol=PROTOCOL)
        if self._open >= self.limits.total:
            await socket.close(TRY_AGAIN, "Too many connections: try again later")
            return
        self._open += 1
        try:
            await _Connection(self, socket).serve()
        finally:
            self._open -= 1


class _CloseError(Exception):
    """The connection ends, for this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Connection:
    """One client's connection."""

    def __init__(self, endpoint: WebSocketEndpoint, socket: WebSocket) -> None:
        self._endpoint = endpoint
        self._pipeline = endpoint.pipeline
        self._limits = endpoint.limits
        self._socket = socket
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()
        self._heard = asyncio.Event()
        self._acknowledged = False
        self._client: list[Hashable] = []
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Take messages until either side closes; whatever runs then is cancelled."""
        reading = asyncio.create_task(self._read())
        living = asyncio.create_task(self._keep_alive())
        waiting: set[asyncio.Future[Any]] = {reading, living, self._broken}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [reading, living, *self._operations.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._forget_client()
        await self._close(done)

    async def _close(self, done: set[asyncio.Future[Any]]) -> None:
        code, reason = 1000, ""
        for future in done:
            error = future.exception()
            if isinstance(error, _CloseError):
                code, reason = error.code, str(error)
            elif error is not None and not isinstance(error, WebSocketDisconnect):
                raise error
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(self._pipeline.stream_limits.send_s):
                    await self._socket.close(code, _short(reason))

    # ----------------------------------------------------------------- incoming

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._limits.init_s):
                message = await self._receive()
                while message["type"] in ("ping", "pong"):
                    await self._take(message)
                    message = await self._receive()
        except TimeoutError:
            raise _CloseError(INIT_TIMEOUT, "Connection initialisation timeout") from None
        while True:
            await self._take(message)
            message = await self._receive()

    async def _receive(self) -> dict[str, Any]:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code") or 1000)
        self._heard.set()
        text = received.get("text")
        if text is None or len(text) > self._limits.message_bytes:
            limit = self._limits.message_bytes
            raise _CloseError(INVALID_MESSAGE, f"A message is JSON of at most {limit} characters")
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise _CloseError(INVALID_MESSAGE, "A message is a JSON object with a type")
        return message

    async def _take(self, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        match message["type"]:
            case "connection_init":
                await self._init(payload)
            case "ping":
                await self._send({"type": "pong"})
            case "pong":
                pass
            case "subscribe":
                self._subscribe(message.get("id"), payload)
            case "complete":
                if isinstance(message.get("id"), str):
                    task = self._operations.pop(message["id"], None)
                    if task is not None:
                        task.cancel()
            case other:
                raise _CloseError(INVALID_MESSAGE, f"Unknown message type {other[:40]}")

    async def _init(self, payload: object) -> None:
        if self._acknowledged:
            raise _CloseError(TOO_MANY, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise _CloseError(INVALID_MESSAGE, "The payload of connection_init is an object")
        connect = self._endpoint.connect
        if connect is not None:
            try:
                made = connect(self._socket, payload or {})
                if inspect.isawaitable(made):
                    await made
            except RefusedRequest as refusal:
                raise _CloseError(FORBIDDEN, f"Forbidden: {refusal}") from refusal
        self._count_client()
        self._acknowledged = True
        await self._send({"type": "connection_ack"})

    def _count_client(self) -> None:
        client, clients = self._endpoint.client_of(self._socket), self._endpoint.clients
        if clients[client] >= self._limits.per_client:
            raise _CloseError(
                TOO_MANY, f"At most {self._limits.per_client} connections: use one for all"
            )
        clients[client] += 1
        self._client.append(client)

    def _forget_client(self) -> None:
        for client in self._client:
            self._endpoint.clients[client] -= 1
            if not self._endpoint.clients[client]:
                del self._endpoint.clients[client]

    def _subscribe(self, operation_id: object, payload: object) -> None:
        if not self._acknowledged:
            raise _CloseError(UNAUTHORIZED, "Unauthorized")
        if not isinstance(operation_id, str) or not 0 < len(operation_id) <= MAX_ID_CHARS:
            raise _CloseError(INVALID_MESSAGE, "subscribe needs an id")
        if not isinstance(payload, dict):
            raise _CloseError(INVALID_MESSAGE, "subscribe needs a payload")
        if operation_id in self._operations:
            raise _CloseError(ID_TAKEN, f"Subscriber for {operation_id} already exists")
        if len(self._operations) >= self._limits.operations:
            raise _CloseError(TOO_MANY, f"At most {self._limits.operations} operations at once")
        task = asyncio.create_task(self._operate(operation_id, payload))
        self._operations[operation_id] = task
        task.add_done_callback(lambda ended: self._ended(operation_id, ended))

    def _ended(self, operation_id: str, task: asyncio.Task[None]) -> None:
        if self._operations.get(operation_id) is task:
            del self._operations[operation_id]
        if task.cancelled() or self._broken.done():
            return
        error = task.exception()
        if error is None or isinstance(error, WebSocketDisconnect):
            return
        self._broken.set_exception(error)

    # ---------------------------------------------------------------- outgoing

    async def _operate(self, operation_id: str, payload: dict[str, Any]) -> None:
        """Run one operation: `next` for each result, `error` for what ends it, or `complete`."""
        try:
            asked, admitted = await self._pipeline.admit(self._socket, graphql_request(payload))
        except RefusedRequest as refusal:
            error = {
                "message": str(refusal),
                "extensions": {"code": refusal.code, **refusal.extensions},
            }
            await self._send({"id": operation_id, "type": "error", "payload": [error]})
            return
        results = self._pipeline.results(asked, admitted)
        async with aclosing(results):
            async for result in results:
                await self._send_text(_next(operation_id, result))
                if not result.has_data:
                    return
        await self._send({"id": operation_id, "type": "complete"})

    async def _keep_alive(self) -> None:
        """Ping now and then; a client that says nothing for long, or asks nothing, is given up."""
        every_s = self._pipeline.stream_limits.keep_alive_s
        silent_s = idle_s = 0.0
        while True:
            self._heard.clear()
            await asyncio.sleep(every_s)
            silent_s = 0.0 if self._heard.is_set() else silent_s + every_s
            idle_s = 0.0 if self._operations else idle_s + every_s
            if silent_s >= self._limits.silence_s:
                raise _CloseError(SILENT, "No answer to pings")
            if idle_s >= self._limits.idle_s:
                raise _CloseError(IDLE, "Nothing was asked for a while: connect when you ask")
            if self._acknowledged:
                await self._send({"type": "ping"})

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_text(orjson.dumps(message).decode())

    async def _send_text(self, text: str) -> None:
        try:
            async with self._sending, asyncio.timeout(self._pipeline.stream_limits.send_s):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _CloseError(TOO_SLOW, "Too slow: messages are not taken in time") from None
        except RuntimeError as error:
            # Starlette's way to say that the socket was closed in the meantime.
            raise WebSocketDisconnect(1006) from error


def _next(operation_id: str, result: ExecutionResult) -> str:
    kind = "next" if result.has_data else "error"
    payload = encode(result) if result.has_data else orjson.dumps(result.errors)
    identity = orjson.dumps(operation_id)
    return (b'{"id":%b,"type":"%b","payload":%b}' % (identity, kind.encode(), payload)).decode()


def _short(reason: str) -> str:
    """Cut a close reason to what a control frame holds."""
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
