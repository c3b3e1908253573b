"""Subgraphs over HTTP/1.1, by a client that does just that: POST, keep alive, read, bound."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, cast
from urllib.parse import urlsplit

import httptools

from twinmesh_federation.execution.client import (
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
    decode_response,
)

DEFAULT_MAX_BODY_BYTES: Final = 32 * 1024 * 1024
DEFAULT_CONNECTIONS_PER_HOST: Final = 256
DEFAULT_IDLE_S: Final = 30.0
MAX_TARGETS: Final = 10_000
MAX_HEAD_BYTES: Final = 64 * 1024


class _BrokenAnswerError(Exception):
    """What came is no HTTP answer that this client takes."""


class _TooLargeError(Exception):
    """The answer is longer than allowed."""


@dataclass(slots=True)
class _Target:
    """Where a URL leads, and the connections there."""

    host: str
    port: int
    tls: bool
    head: bytes
    idle: list[_Connection] = field(default_factory=list)
    open: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class _Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    __slots__ = (
        "_answer", "_body", "_complete", "_head_size", "_keeps_alive", "_max_body_bytes",
        "_parser", "_size", "_transport", "encoding", "idle_since", "lost", "started", "status",
    )  # fmt: skip

    def __init__(self, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._answer: asyncio.Future[bytes] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0
        self._complete = False
        self._keeps_alive = False
        self._transport: asyncio.Transport | None = None
        self.idle_since = 0.0
        self.lost = False
        self.started = False
        self.status = 0
        self.encoding = b""

    # ------------------------------------------------------------- a request

    def ask(self, message: bytes, loop: asyncio.AbstractEventLoop) -> asyncio.Future[bytes]:
        """Send a request; the future is its answer's body."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._size = self._head_size = 0
        self._complete = self.started = False
        self.encoding = b""
        self._answer = loop.create_future()
        self._transport.write(message)
        return self._answer

    def fail(self, error: Exception) -> None:
        """End the request under way, and the connection."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    # -------------------------------------------------------------- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came; anything while no answer is awaited ends the connection."""
        if self._answer is None:
            self.close()
            return
        self.started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(_BrokenAnswerError("the connection was upgraded"))
        except httptools.HttpParserCallbackError as error:
            known = error.__context__
            self.fail(known if isinstance(known, _TooLargeError) else _BrokenAnswerError(error))
        except httptools.HttpParserError as error:
            self.fail(_BrokenAnswerError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the request under way, unless its answer ends with the connection."""
        self.lost = True
        if self._answer is None:
            return
        until_closed = exc is None and self._complete is False and self._ends_with_connection()
        if until_closed:
            self._finish()
        else:
            self.fail(exc or ConnectionResetError("closed before the answer was complete"))

    def _ends_with_connection(self) -> bool:
        return self._head_size < 0 and not self._parser.should_keep_alive()

    # ----------------------------------------------------------------- parser

    def on_message_begin(self) -> None:
        """Give the connection up if more comes than was asked."""
        if self._complete:
            self.lost = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the head, and note how the body is encoded."""
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD_BYTES:
            raise _TooLargeError(f"{MAX_HEAD_BYTES} bytes of headers")
        lower = name.lower()
        if lower == b"content-encoding":
            self.encoding = value.strip().lower()
        elif lower == b"content-length" and value.isdigit() and int(value) > self._max_body_bytes:
            raise _TooLargeError(f"{self._max_body_bytes} bytes")

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._head_size = -1

    def on_body(self, body: bytes) -> None:
        """Collect the body within its bound."""
        self._size += len(body)
        if self._size > self._max_body_bytes:
            raise _TooLargeError(f"{self._max_body_bytes} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over, unless it only says that another follows."""
        status = self._parser.get_status_code()
        if status < 200:
            self._head_size = 0
            return
        self._finish()

    def _finish(self) -> None:
        self.status = self._parser.get_status_code()
        self._complete = True
        self._keeps_alive = self._parser.should_keep_alive()
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            body = self._body
            answer.set_result(body[0] if len(body) == 1 else b"".join(body))

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may follow."""
        return not self.lost and self._complete and self._keeps_alive


class HttpSubgraphClient:
    """Keeps connections open, follows no redirect, reads no more than `max_body_bytes`.

    Args:
        max_body_bytes: Longer answers are failures.
        connections_per_host: Further requests wait for one that is free.
        idle_s: Connections unused for longer are not used again.
        tls: How https is verified; the system's authorities where none is given.
    """

    def __init__(
        self,
        *,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        connections_per_host: int = DEFAULT_CONNECTIONS_PER_HOST,
        idle_s: float = DEFAULT_IDLE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._max_body_bytes = max_body_bytes
        self._connections_per_host = connections_per_host
        self._idle_s = idle_s
        self._tls = tls
        self._targets: dict[str, _Target] = {}
        self._closed = False

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        try:
            status, body = await self._exchange(request)
        except TimeoutError as error:
            raise SubgraphFailure(
                "TIMEOUT", f"subgraph {request.service} did not answer in time", retryable=True
            ) from error
        except _TooLargeError as error:
            raise SubgraphFailure(
                "BAD_RESPONSE", f"subgraph {request.service} answered more than {error}",
                retryable=False,
            ) from error  # fmt: skip
        except _BrokenAnswerError as error:
            raise SubgraphFailure(
                "BAD_RESPONSE", f"subgraph {request.service} answered no HTTP/1.1: {error}",
                retryable=False,
            ) from error  # fmt: skip
        except OSError as error:
            raise SubgraphFailure(
                "UNAVAILABLE", f"subgraph {request.service} cannot be reached", retryable=True
            ) from error
        return decode_response(request.service, status, body)

    async def _exchange(self, request: SubgraphRequest) -> tuple[int, bytes]:
        target = self._targets.get(request.url) or self._target(request)
        message = _message(target, request)
        ends_at = asyncio.get_running_loop().time() + request.timeout_s
        connection = self._idle(target)
        if connection is not None:
            try:
                return await self._asked(target, connection, message, ends_at)
            except ConnectionError:
                # Its end crossed our request, unless something of an answer had come.
                if connection.started or not request.idempotent:
                    raise
        async with asyncio.timeout_at(ends_at):
            connection = await self._connect(target)
        return await self._asked(target, connection, message, ends_at)

    async def _asked(
        self, target: _Target, connection: _Connection, message: bytes, ends_at: float
    ) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        answer = connection.ask(message, loop)
        alarm = loop.call_at(ends_at, connection.fail, TimeoutError())
        try:
            body = await answer
        except BaseException:
            connection.close()
            raise
        finally:
            alarm.cancel()
            self._release(target, connection)
        if connection.encoding not in (b"", b"identity"):
            raise _BrokenAnswerError("it is encoded, which was not asked for")
        return connection.status, body

    # ------------------------------------------------------------ connections

    def _idle(self, target: _Target) -> _Connection | None:
        oldest = monotonic() - self._idle_s
        while target.idle:
            connection = target.idle.pop()
            if not connection.lost and connection.idle_since >= oldest:
                return connection
            target.open -= 1
            connection.close()
        return None

    async def _connect(self, target: _Target) -> _Connection:
        while target.open >= self._connections_per_host:
            freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            target.waiting.append(freed)
            try:
                await freed
            except BaseException:
                if freed.done() and not freed.cancelled():
                    self._wake(target)
                raise
            idle = self._idle(target)
            if idle is not None:
                return idle
        target.open += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self._max_body_bytes),
                target.host,
                target.port,
                ssl=self._context() if target.tls else None,
            )
        except BaseException:
            target.open -= 1
            self._wake(target)
            raise
        return connection

    def _release(self, target: _Target, connection: _Connection) -> None:
        if connection.is_reusable and not self._closed:
            connection.idle_since = monotonic()
            target.idle.append(connection)
        else:
            target.open -= 1
            connection.close()
        self._wake(target)

    @staticmethod
    def _wake(target: _Target) -> None:
        while target.waiting:
            freed = target.waiting.popleft()
            if not freed.done():
                freed.set_result(None)
                return

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls

    def _target(self, request: SubgraphRequest) -> _Target:
        if len(self._targets) >= MAX_TARGETS:
            raise SubgraphFailure(
                "UNAVAILABLE", f"over {MAX_TARGETS} subgraph addresses", retryable=False
            )
        try:
            parts = urlsplit(request.url)
            port = parts.port
        except ValueError as error:
            raise _bad_address(request) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise _bad_address(request)
        tls = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.netloc.rpartition("@")[2]
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
            "accept: application/graphql-response+json, application/json;q=0.9\r\n"
        )
        if not head.isascii() or any(c in path + host for c in " \r\n"):
            raise _bad_address(request)
        target = _Target(parts.hostname, port or (443 if tls else 80), tls, head.encode())
        self._targets[request.url] = target
        return target

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        self._closed = True
        for target in self._targets.values():
            for connection in target.idle:
                connection.close()
            target.open -= len(target.idle)
            target.idle.clear()


def _message(target: _Target, request: SubgraphRequest) -> bytes:
    """Put the request together; refuse headers that would end early."""
    lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise SubgraphFailure(
            "BAD_RESPONSE", f"a header for subgraph {request.service} has a line break",
            retryable=False,
        )  # fmt: skip
    return b"%b%bcontent-length: %d\r\n\r\n%b" % (
        target.head,
        text.encode("latin-1", "replace"),
        len(request.body),
        request.body,
    )


def _bad_address(request: SubgraphRequest) -> SubgraphFailure:
    return SubgraphFailure(
        "UNAVAILABLE", f"subgraph {request.service} has no HTTP address", retryable=False
    )
