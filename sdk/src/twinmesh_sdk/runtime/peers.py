"""Calls to other services: who asks, the times, the trace and the deadline travel along."""

# ruff: noqa: ANN401 - grpc hands any message through

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.trace import SpanKind

from twinmesh.core.v1 import error_pb2
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.principal import SERVICE_ROLE
from twinmesh_sdk.core.request import (
    Deadline,
    acting_tenant,
    caller_token,
    current_deadline,
    current_principal,
    current_read_time,
)
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.runtime import entry
from twinmesh_sdk.runtime.auth import TokenSource
from twinmesh_sdk.runtime.failures import error_of, from_grpc

MAX_MESSAGE_BYTES: Final = 8 * 2**20
ERROR_DETAIL: Final = "tm-error-bin"
CLOSE_S: Final = 0.5

OPTIONS: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_http_proxy", 0),
)

Details = grpc.aio.ClientCallDetails
Continuation = Callable[[Details, Any], Awaitable[Any]]


class PeerBugError(Exception):
    """A peer failed in a way that is none of the mesh's errors: a bug there, and so one here."""


class Peers:
    """The channels of one service, one per address."""

    def __init__(self, tokens: TokenSource, *, service: str, timeout_s: float) -> None:
        self._caller = _Caller(tokens, service, timeout_s)
        self._channels: dict[str, grpc.aio.Channel] = {}

    def channel(self, address: str) -> grpc.aio.Channel:
        """Return the channel to `host:port`; stubs may be made of it before any loop runs."""
        if address not in self._channels:
            kinds = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)
            interceptors: Any = [kind(self._caller) for kind in kinds]

            def connect() -> grpc.aio.Channel:
                return grpc.aio.insecure_channel(
                    address, options=OPTIONS, interceptors=interceptors
                )

            self._channels[address] = _LazyChannel(connect)
        return self._channels[address]

    async def close(self) -> None:
        """Close every channel."""
        channels, self._channels = list(self._channels.values()), {}
        await asyncio.gather(*(channel.close(CLOSE_S) for channel in channels))


class _LazyChannel(grpc.aio.Channel):
    """A channel that is made at its first call, because a channel belongs to one event loop."""

    def __init__(self, connect: Callable[[], grpc.aio.Channel]) -> None:
        self._connect = connect
        self._made: grpc.aio.Channel | None = None

    @property
    def _channel(self) -> grpc.aio.Channel:
        if self._made is None:
            self._made = self._connect()
        return self._made

    def _lazily(self, kind: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        made: list[Any] = []

        def call(*args: Any, **kwargs: Any) -> Any:
            if not made:
                made.append(getattr(self._channel, kind)(*arguments, **options))
            return made[0](*args, **kwargs)

        return call

    def unary_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._lazily("unary_unary", arguments, options)

    def unary_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._lazily("unary_stream", arguments, options)

    def stream_unary(self, *arguments: Any, **options: Any) -> Any:
        return self._lazily("stream_unary", arguments, options)

    def stream_stream(self, *arguments: Any, **options: Any) -> Any:
        return self._lazily("stream_stream", arguments, options)

    async def close(self, grace: float | None = None) -> None:
        if self._made is not None:
            made, self._made = self._made, None
            await made.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> "_LazyChannel":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _Caller:
    """Prepares the details of an outgoing call."""

    def __init__(self, tokens: TokenSource, service: str, timeout_s: float) -> None:
        self._tokens = tokens
        self._service = service
        self._timeout_s = timeout_s

    async def prepare(self, details: Details) -> Details:
        """Return `details` with metadata and deadline.

        Raises:
            DeadlineExceededError: No time is left.
            UnavailableError: This service's own token cannot be had.
        """
        longest = details.timeout if details.timeout is not None else self._timeout_s
        deadline = Deadline.after(longest).sooner(current_deadline())
        deadline.check()
        metadata = grpc.aio.Metadata(*(details.metadata or ()))
        for name, value in (await self._metadata()).items():
            if name not in metadata:
                metadata.add(name, value)
        remaining_s = deadline.remaining_s
        metadata.add(entry.DEADLINE_MS, str(max(1, int(remaining_s * 1000))))
        return Details(
            method=details.method,
            timeout=remaining_s,
            metadata=metadata,
            credentials=details.credentials,
            wait_for_ready=details.wait_for_ready,
        )

    async def answer(self, continuation: Continuation, details: Details, request: Any) -> Any:
        """Call, and return the one answer."""
        method = _method(details)
        with tracing.span(method, kind=SpanKind.CLIENT, attributes={"rpc.system": "grpc"}):
            call = await continuation(await self.prepare(details), request)
            try:
                return await call
            except grpc.aio.AioRpcError as error:
                raise _translated(error, method) from error

    async def answers(
        self, continuation: Continuation, details: Details, request: Any
    ) -> AsyncIterator[Any]:
        """Call, and yield the answers."""
        method = _method(details)
        call = await continuation(await self.prepare(details), request)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise _translated(error, method) from error

    async def _metadata(self) -> dict[str, str]:
        found = {**await self._identity(), entry.CALLER: self._service}
        if trace := tracing.traceparent():
            found[tracing.TRACEPARENT] = trace
        try:
            times = current_read_time()
        except LookupError:
            return found
        found[entry.NOW], found[entry.AS_OF] = format_time(times.now), format_time(times.as_of)
        if times.known_at is not None:
            found[entry.KNOWN_AT] = format_time(times.known_at)
        return found

    async def _identity(self) -> dict[str, str]:
        """Forward the caller's token; without a caller, use our own for the tenant acted for."""
        if token := caller_token():
            identity = {"authorization": f"Bearer {token}"}
            principal = current_principal()
            if SERVICE_ROLE in principal.roles:
                identity[entry.TENANT] = principal.tenant
            return identity
        identity = {"authorization": f"Bearer {await self._tokens.token()}"}
        if (tenant := acting_tenant()) is not None:
            identity[entry.TENANT] = tenant
        return identity


def _method(details: Details) -> str:
    raw: Any = details.method
    return (raw.decode() if isinstance(raw, bytes) else str(raw)).lstrip("/")


def _translated(error: grpc.aio.AioRpcError, method: str) -> Exception:
    """Return the error that a peer's failure is."""
    trailing: Any = error.trailing_metadata()
    for name, value in trailing or ():
        if name == ERROR_DETAIL and isinstance(value, bytes):
            try:
                detail = error_pb2.ErrorDetail.FromString(value)
            except DecodeError:
                break
            found = error_of(detail.code, detail.message, hint=detail.hint)
            if found is not None:
                return found
    message = f"{method}: {error.details() or error.code().name}"
    return from_grpc(error.code(), message) or PeerBugError(message)


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: Details, request: Any
    ) -> Any:
        return await self._caller.answer(continuation, client_call_details, request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_stream_unary(
        self, continuation: Continuation, client_call_details: Details, request_iterator: Any
    ) -> Any:
        return await self._caller.answer(continuation, client_call_details, request_iterator)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: Details, request: Any
    ) -> Any:
        return self._caller.answers(continuation, client_call_details, request)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):  # type: ignore[type-arg]  # not generic at run time
    def __init__(self, caller: _Caller) -> None:
        self._caller = caller

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Details, request_iterator: Any
    ) -> Any:
        return self._caller.answers(continuation, client_call_details, request_iterator)
