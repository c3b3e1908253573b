"""Subgraphs' events over server-sent events or WebSockets, by aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import orjson

from twinmesh_federation.execution.client import SubgraphFailure, SubgraphResponse, decode_response
from twinmesh_federation.subscriptions.client import SubscriptionRequest

WS_PROTOCOL: Final = "graphql-transport-ws"
EVENT_STREAM: Final = "text/event-stream"
SSE: Final = "sse"
WS: Final = "ws"
PROTOCOLS: Final = (SSE, WS)
DEFAULT_MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
MAX_REFUSAL_BYTES: Final = 256 * 1024
MAX_FOUND: Final = 1_000
CLOSE_S: Final = 2.0


@dataclass(slots=True)
class AiohttpSubscriptionClient:
    """Speaks `graphql-sse` (distinct connections) or `graphql-transport-ws`.

    Attributes:
        protocols: "sse" or "ws" by subgraph name. Where none is named, events are asked for over
            HTTP, and if the subgraph has none to give there, over a WebSocket; what worked is
            remembered.
        urls: Addresses by subgraph name, where subscriptions have one of their own.
        open_s: Seconds until a subgraph must have accepted a subscription.
        silence_s: Seconds after which a connection without any sign of life is given up; the
            protocols' keep-alives count.
    """

    protocols: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES
    open_s: float = 10.0
    silence_s: float = 60.0
    _session: aiohttp.ClientSession | None = None
    _found: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def subscribe(
        self, request: SubscriptionRequest
    ) -> AsyncIterator[AsyncIterator[SubgraphResponse]]:
        """See `SubscriptionClient.subscribe`."""
        known = self.protocols.get(request.service) or self._found.get(request.url)
        async with AsyncExitStack() as stack:
            if known == WS:
                yield await stack.enter_async_context(self._by_websocket(request))
                return
            try:
                yield await stack.enter_async_context(self._by_sse(request))
            except _NoEventsError as refusal:
                if known == SSE:
                    yield refusal.answer()
                    return
                yield await self._instead(request, refusal, stack)

    async def _instead(
        self, request: SubscriptionRequest, refusal: _NoEventsError, stack: AsyncExitStack
    ) -> AsyncIterator[SubgraphResponse]:
        """Try a WebSocket; where there is none either, what HTTP answered counts."""
        try:
            events = await stack.enter_async_context(self._by_websocket(request))
        except SubgraphFailure:
            return refusal.answer()
        if len(self._found) < MAX_FOUND:
            self._found[request.url] = WS
        return events

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def close(self) -> None:
        """See `SubscriptionClient.close`."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ------------------------------------------------------- server-sent events

    @asynccontextmanager
    async def _by_sse(
        self, request: SubscriptionRequest
    ) -> AsyncIterator[AsyncIterator[SubgraphResponse]]:
        headers = {**request.headers, "content-type": "application/json", "accept": EVENT_STREAM}
        with _failures(request.service):
            async with asyncio.timeout(self.open_s):
                response = await self._open().post(
                    self.urls.get(request.service, request.url),
                    data=request.body,
                    headers=headers,
                    allow_redirects=False,
                )
        try:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status != 200 or kind != EVENT_STREAM:
                raise await self._refusal(request.service, response)
            yield self._read_sse(request.service, response)
        finally:
            response.close()

    async def _refusal(self, service: str, response: aiohttp.ClientResponse) -> _NoEventsError:
        with _failures(service):
            async with asyncio.timeout(self.open_s):
                body = await response.content.read(MAX_REFUSAL_BYTES)
        return _NoEventsError(service, response.status, body)

    async def _read_sse(
        self, service: str, response: aiohttp.ClientResponse
    ) -> AsyncIterator[SubgraphResponse]:
        reader = _EventReader(service, self.max_event_bytes)
        with _failures(service):
            while True:
                async with asyncio.timeout(self.silence_s):
                    chunk = await response.content.readany()
                if not chunk:
                    raise SubgraphFailure(
                        "UNAVAILABLE", f"subgraph {service} broke off its events", retryable=True
                    )
                for name, data in reader.feed(chunk):
                    if name == "complete":
                        return
                    if name == "next":
                        yield decode_response(service, 200, data)

    # -------------------------------------------------------------- WebSockets

    @asynccontextmanager
    async def _by_websocket(
        self, request: SubscriptionRequest
    ) -> AsyncIterator[AsyncIterator[SubgraphResponse]]:
        with _failures(request.service):
            async with asyncio.timeout(self.open_s):
                socket = await self._open().ws_connect(
                    self.urls.get(request.service, request.url),
                    protocols=(WS_PROTOCOL,),
                    headers=dict(request.headers),
                    max_msg_size=self.max_event_bytes,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    heartbeat=self.silence_s / 2,
                )
        try:
            with _failures(request.service):
                async with asyncio.timeout(self.open_s):
                    await self._begin(socket, request)
            yield self._read_websocket(request.service, socket)
        finally:
            with suppress(aiohttp.ClientError, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    if not socket.closed:
                        await socket.send_json({"id": "1", "type": "complete"})
                    await socket.close()

    async def _begin(
        self, socket: aiohttp.ClientWebSocketResponse, request: SubscriptionRequest
    ) -> None:
        await socket.send_json({"type": "connection_init", "payload": dict(request.headers)})
        while (message := await _message(request.service, socket))["type"] != "connection_ack":
            await _answer_ping(socket, message)
        payload = orjson.loads(request.body)
        await socket.send_json({"id": "1", "type": "subscribe", "payload": payload})

    async def _read_websocket(
        self, service: str, socket: aiohttp.ClientWebSocketResponse
    ) -> AsyncIterator[SubgraphResponse]:
        with _failures(service):
            while True:
                message = await _message(service, socket)
                payload = message.get("payload")
                match message["type"]:
                    case "next":
                        yield decode_response(service, 200, orjson.dumps(payload))
                    case "error":
                        errors = payload if isinstance(payload, list) else []
                        yield SubgraphResponse(None, [e for e in errors if isinstance(e, dict)])
                        return
                    case "complete":
                        return
                    case _:
                        await _answer_ping(socket, message)


class _NoEventsError(Exception):
    """What a subgraph answered where events were asked for."""

    def __init__(self, service: str, status: int, body: bytes) -> None:
        super().__init__(service)
        self._status = status
        self._body = body

    def answer(self) -> AsyncIterator[SubgraphResponse]:
        """Return it as the one event there is.

        Raises:
            SubgraphFailure: It is no GraphQL answer.
        """
        answered = decode_response(str(self), self._status, self._body)

        async def once() -> AsyncIterator[SubgraphResponse]:
            yield answered

        return once()


async def _message(service: str, socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Receive a message of the protocol.

    Raises:
        SubgraphFailure: The socket closed, or what came is no message.
    """
    received = await socket.receive()
    if received.type is not aiohttp.WSMsgType.TEXT:
        raise SubgraphFailure(
            "UNAVAILABLE",
            f"subgraph {service} closed its events ({socket.close_code})",
            retryable=True,
        )
    try:
        message = orjson.loads(received.data)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise SubgraphFailure(
            "BAD_RESPONSE", f"subgraph {service} does not speak {WS_PROTOCOL}", retryable=False
        )
    return message


async def _answer_ping(socket: aiohttp.ClientWebSocketResponse, message: Mapping[str, Any]) -> None:
    if message["type"] == "ping":
        await socket.send_json({"type": "pong"})


@contextmanager
def _failures(service: str) -> Iterator[None]:
    """Turn the library's failures into ours."""
    try:
        yield
    except TimeoutError as error:
        raise SubgraphFailure(
            "TIMEOUT", f"subgraph {service} fell silent", retryable=True
        ) from error
    except (aiohttp.ClientError, OSError) as error:
        raise SubgraphFailure(
            "UNAVAILABLE", f"subgraph {service} cannot be subscribed to", retryable=True
        ) from error


class _EventReader:
    """Cuts a byte stream into server-sent events.

    Source: HTML Living Standard, 9.2.6 "Interpreting an event stream".
    """

    def __init__(self, service: str, max_bytes: int) -> None:
        self._service = service
        self._max_bytes = max_bytes
        self._rest = b""
        self._name = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the events (name, data) that end in `chunk`.

        Raises:
            SubgraphFailure: One is larger than it may be.
        """
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > self._max_bytes:
            raise self._too_large()
        for line in lines:
            line = line.removesuffix(b"\r")  # noqa: PLW2901 - the same line
            if line:
                self._field(line)
                continue
            if self._name or self._data:
                yield self._name.decode("ascii", "replace"), b"\n".join(self._data)
            self._name, self._data, self._size = b"", [], 0

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._name = value
        elif name == b"data":
            self._size += len(value)
            if self._size > self._max_bytes:
                raise self._too_large()
            self._data.append(value)

    def _too_large(self) -> SubgraphFailure:
        return SubgraphFailure(
            "BAD_RESPONSE",
            f"subgraph {self._service} sent an event of more than {self._max_bytes} bytes",
            retryable=False,
        )
