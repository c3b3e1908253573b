"""The gRPC door: admits, answers, turns failures into statuses, and reports health."""

# ruff: noqa: ANN401 - grpc hands any message through

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from twinmesh.core.v1 import error_pb2
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.nats.consumption import ConsumptionReporter
from twinmesh_sdk.core.consumption import (
    MAX_NAME_CHARS,
    CollectedOutputs,
    Door,
    Use,
    UseKind,
    collect_outputs,
)
from twinmesh_sdk.core.errors import (
    DeadlineExceededError,
    TwinError,
    UnauthenticatedError,
    UnavailableError,
)
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.core.request import Deadline, answering
from twinmesh_sdk.runtime import entry
from twinmesh_sdk.runtime.entry import Admitted, Entry
from twinmesh_sdk.runtime.failures import GRPC_STATUS, INTERNAL, INTERNAL_MESSAGE
from twinmesh_sdk.runtime.peers import ERROR_DETAIL, MAX_MESSAGE_BYTES
from twinmesh_sdk.runtime.probes import Probes

log = logging.getLogger(__name__)

STOP_S: Final = 2.0
MAX_CONCURRENT: Final = 512
WATCH_S: Final = 1.0
MAX_DETAIL_CHARS: Final = 1024
HEALTH: Final = "/grpc.health.v1.Health/"

OPTIONS: Final = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
)

REQUESTS: Final = Counter("twin_grpc_requests_total", "Calls answered", ["method", "code"])
SECONDS: Final = Histogram("twin_grpc_request_seconds", "Time to answer a call", ["method"])

Context = grpc.aio.ServicerContext


class GrpcHost:
    """One gRPC server. Every method needs a token, except health."""

    def __init__(
        self,
        service: str,
        admission: Entry,
        probes: Probes,
        consumption: ConsumptionReporter,
    ) -> None:
        self._interceptor = _Door(service, admission, consumption)
        self._probes = probes
        self._registered: list[tuple[Callable[[Any, Any], None], object]] = []
        self._server: grpc.aio.Server | None = None
        self.port = 0

    def add(self, register: Callable[[Any, Any], None], servicer: object) -> None:
        """Add a service by its generated `add_…Servicer_to_server`."""
        self._registered.append((register, servicer))

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            UnavailableError: The port is taken.
        """
        server = grpc.aio.server(
            interceptors=[self._interceptor],
            options=OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT,
        )
        for register, servicer in self._registered:
            register(servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(_Health(self._probes), server)
        try:
            self.port = server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise UnavailableError(f"gRPC cannot listen on {host}:{port}") from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Refuse new calls, let those in hand finish for a while."""
        if self._server is not None:
            await self._server.stop(STOP_S)
            self._server = None


class _Door(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Wraps every method of every service."""

    def __init__(self, service: str, admission: Entry, consumption: ConsumptionReporter) -> None:
        self._service = service
        self._admission = admission
        self._consumption = consumption

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler, wrapped."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(HEALTH):
            return handler
        headers = _headers(handler_call_details.invocation_metadata)
        serializers = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            behaviour = handler.stream_stream or handler.unary_stream
            wrapped: Any = self._streaming(behaviour, method, headers)
            make: Any = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
        else:
            behaviour = handler.stream_unary or handler.unary_unary
            wrapped = self._answering(behaviour, method, headers)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        return make(wrapped, **serializers)

    def _answering(self, behaviour: Any, method: str, headers: dict[str, str]) -> Any:
        async def answer(request: Any, context: Any) -> Any:
            async with self._call(method, headers, context) as admitted:
                try:
                    async with asyncio.timeout(admitted.deadline.remaining_s):
                        return await behaviour(request, context)
                except TimeoutError as error:
                    raise DeadlineExceededError("not answered in time") from error

        return answer

    def _streaming(self, behaviour: Any, method: str, headers: dict[str, str]) -> Any:
        async def stream(request: Any, context: Any) -> None:
            async with self._call(method, headers, context) as admitted:
                try:
                    async with asyncio.timeout(admitted.deadline.remaining_s):
                        async for response in behaviour(request, context):
                            await context.write(response)
                except TimeoutError as error:
                    raise DeadlineExceededError("not answered in time") from error

        return stream

    @asynccontextmanager
    async def _call(
        self, method: str, headers: dict[str, str], context: Any
    ) -> AsyncIterator[Admitted]:
        """Admit one call; what is raised inside leaves as a status."""
        status = "OK"
        with (
            SECONDS.labels(method).time(),
            tracing.span(
                method.lstrip("/"),
                kind=SpanKind.SERVER,
                parent=headers.get(tracing.TRACEPARENT, ""),
                attributes={"rpc.system": "grpc"},
            ) as span,
        ):
            try:
                admitted = await self._admission.admit(headers)
                if admitted.principal is None:
                    raise UnauthenticatedError(
                        "this call needs a bearer token", hint="send authorization metadata"
                    )
                span.set_attribute("twin.tenant", admitted.principal.tenant)
                span.set_attribute("enduser.id", admitted.principal.subject)
                with (
                    answering(
                        principal=admitted.principal,
                        token=admitted.token,
                        read_time=admitted.read_time,
                        deadline=admitted.deadline.sooner(_grpc_deadline(context)),
                    ),
                    collect_outputs() as outputs,
                ):
                    yield admitted
                self._report(method, headers, admitted.principal, outputs)
            except TwinError as error:
                status = error.code.value
                await _abort(context, error)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                status = "ABORTED"
                raise
            except Exception:
                status = INTERNAL
                log.exception("call failed", extra={"method": method})
                await _abort_bug(context)
            finally:
                REQUESTS.labels(method, status).inc()

    def _report(
        self, method: str, headers: dict[str, str], caller: Principal, outputs: CollectedOutputs
    ) -> None:
        """Record who used the method, and consumed what it returned.

        A service that forwards its caller's token says so in `tm-caller`: it would break, not its
        caller. Nothing is permitted by that word.
        """
        client = headers.get(entry.CALLER, "")[:MAX_NAME_CHARS] or caller.client_id
        coordinate = method.lstrip("/")
        use = Use(UseKind.RPC_METHOD, coordinate, self._service)
        self._consumption.uses(caller.tenant, client, use)
        self._consumption.receipts(
            caller.tenant, client, Door.RPC, outputs.outputs, operation=coordinate
        )
        self._consumption.omitted(outputs.omitted)


def _headers(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in metadata or ():
        if name in entry.READ and isinstance(value, str):
            found.setdefault(name, value)
    return found


def _grpc_deadline(context: Any) -> Deadline | None:
    remaining_s = context.time_remaining()
    return None if remaining_s is None else Deadline.after(max(0.0, remaining_s))


async def _abort(context: Any, error: TwinError) -> None:
    detail = error_pb2.ErrorDetail(
        code=error.code.value,
        message=str(error)[:MAX_DETAIL_CHARS],
        retryable=error.retryable,
        hint=error.hint[:MAX_DETAIL_CHARS],
        trace_id=tracing.trace_id(),
    )
    await context.abort(
        GRPC_STATUS[error.code],
        str(error)[:MAX_DETAIL_CHARS],
        trailing_metadata=((ERROR_DETAIL, detail.SerializeToString()),),
    )


async def _abort_bug(context: Any) -> None:
    detail = error_pb2.ErrorDetail(
        code=INTERNAL, message=INTERNAL_MESSAGE, trace_id=tracing.trace_id()
    )
    await context.abort(
        grpc.StatusCode.INTERNAL,
        INTERNAL_MESSAGE,
        trailing_metadata=((ERROR_DETAIL, detail.SerializeToString()),),
    )


class _Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # untyped package
    """`grpc.health.v1.Health` over the probes; the empty service name stands for all."""

    def __init__(self, probes: Probes) -> None:
        self._probes = probes

    async def _status(self) -> Any:
        ready = await self._probes.ready()
        kinds = health_pb2.HealthCheckResponse
        return kinds.SERVING if ready else kinds.NOT_SERVING

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - name fixed by the proto
        """Answer once."""
        del request, context
        return health_pb2.HealthCheckResponse(status=await self._status())

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - see above
        """Answer at once, and whenever it changes."""
        del request
        last = None
        while not context.done():
            status = await self._status()
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(WATCH_S)
