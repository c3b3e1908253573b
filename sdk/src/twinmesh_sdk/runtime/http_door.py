"""What every HTTP request passes first: limits, admission, trace, and failures as problems."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import Any, Final

from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    LimitExceededError,
    TwinError,
    UnavailableError,
)
from twinmesh_sdk.core.request import Deadline, answering
from twinmesh_sdk.runtime import entry
from twinmesh_sdk.runtime.entry import Entry
from twinmesh_sdk.runtime.probes import Probes

log = logging.getLogger(__name__)

DRAIN_BYTES: Final = 64 * 2**20
DRAIN_S: Final = 5.0
GRACE_S: Final = 0.5
TRY_AGAIN: Final = 1013

OPEN_PATHS: Final = frozenset({"/healthz/live", "/healthz/ready", "/metrics"})

REQUESTS: Final = Counter("twin_http_requests_total", "Requests answered", ["method", "status"])
SECONDS: Final = Histogram("twin_http_request_seconds", "Time to answer a request", ["method"])
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class BodyTooLargeError(LimitExceededError, HTTPException):
    """The body is larger than this door takes; answered with 413.

    Also the framework's own kind, because FastAPI turns all others into a 400 while it reads.
    """

    def __init__(self, limit: int) -> None:
        HTTPException.__init__(self, 413)
        LimitExceededError.__init__(self, f"a body has at most {limit} bytes", hint="send less")

    def __str__(self) -> str:
        """Return the message, not the framework's."""
        return str(self.args[0])


class HttpDoor:
    """An ASGI application around another. Health and metrics pass untouched.

    A WebSocket's endpoint authenticates by itself: browsers send no header with the handshake.
    """

    def __init__(
        self, app: ASGIApp, admission: Entry, probes: Probes, *, max_body_bytes: int
    ) -> None:
        self._app = app
        self._admission = admission
        self._probes = probes
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "websocket" and not self._takes_requests:
            await send({"type": "websocket.close", "code": TRY_AGAIN})
            return
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._max_body_bytes)
        began, sent = perf_counter(), _Sent(send, body)
        headers = _headers(scope)
        with tracing.span(
            f"{scope['method']} {scope['path']}"[:200],
            kind=SpanKind.SERVER,
            parent=headers.get(tracing.TRACEPARENT, ""),
            attributes={"http.request.method": scope["method"], "url.path": scope["path"][:200]},
        ) as span:
            await self._answer(scope, body, sent, headers)
            span.set_attribute("http.response.status_code", sent.status)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        REQUESTS.labels(method, str(sent.status)).inc()
        if not sent.streamed:
            SECONDS.labels(method).observe(perf_counter() - began)

    @property
    def _takes_requests(self) -> bool:
        return self._probes.open and not self._probes.stopping

    async def _answer(
        self, scope: Scope, body: "_Body", sent: "_Sent", headers: dict[str, str]
    ) -> None:
        try:
            if not self._takes_requests:
                raise UnavailableError("the service is not open", hint="try again in a moment")
            body.check(headers.get("content-length", ""))
            admitted = await self._admission.admit(headers)
            with answering(
                principal=admitted.principal,
                token=admitted.token,
                read_time=admitted.read_time,
                deadline=admitted.deadline,
            ):
                await self._in_time(scope, body, sent, admitted.deadline)
        except Exception as error:
            if not isinstance(error, TwinError):
                log.exception("request failed", extra={"path": scope["path"][:200]})
            if sent.begun:
                raise
            await _problem(error, scope, body, sent)

    async def _in_time(
        self, scope: Scope, body: "_Body", sent: "_Sent", deadline: Deadline
    ) -> None:
        """Serve until a little after the deadline: who answers late should say so itself.

        An answer that began as a stream of events in time may last.
        """
        try:
            async with asyncio.timeout(deadline.remaining_s + GRACE_S) as time_left:
                sent.on_stream = lambda: time_left.reschedule(None)
                await self._app(scope, body, sent)
        except TimeoutError as error:
            raise DeadlineExceededError("the request was not answered in time") from error


async def _problem(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    from twinmesh_sdk.runtime.http_host import problem_response  # noqa: PLC0415 - it imports this

    await problem_response(error)(scope, receive, send)


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers that a door reads; the first of each name counts."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        if name in entry.READ or name == "content-length":
            found.setdefault(name, raw_value.decode("latin-1"))
    return found


def _is_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in headers
    )


class _Body:
    """Receives a body up to a limit, whether or not its length was announced."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._seen = 0
        self._ended = False
        self.refused = False

    def check(self, announced: str) -> None:
        """Refuse a body that announces to be too large, before any of it is read."""
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > self._limit:
            raise self._refusal()

    def _refusal(self) -> BodyTooLargeError:
        self.refused = True
        return BodyTooLargeError(self._limit)

    async def drain(self) -> bool:
        """Read on, within limits; tells whether the end was reached.

        Who is still sending does not listen, and would see a reset instead of the answer.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._ended and self._seen < DRAIN_BYTES:
                    await self._next()
        return self._ended

    async def __call__(self) -> Message:
        """Receive the next part."""
        message = await self._next()
        if self._seen > self._limit:
            raise self._refusal()
        return message

    async def _next(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message


class _Sent:
    """Sends, remembers the status, and tells the caller its trace."""

    def __init__(self, send: Send, body: _Body) -> None:
        self._send = send
        self._body = body
        self.status = 0
        self.begun = False
        self.streamed = False
        self.on_stream: Callable[[], None] = lambda: None

    async def __call__(self, message: Any) -> None:  # noqa: ANN401 - an ASGI message
        """Send the next part."""
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            if _is_stream(message["headers"]):
                self.streamed = True
                self.on_stream()
            if self._body.refused and not await self._body.drain():
                MutableHeaders(scope=message)["connection"] = "close"
            if trace_id := tracing.trace_id():
                MutableHeaders(scope=message)["tm-trace-id"] = trace_id
        await self._send(message)
