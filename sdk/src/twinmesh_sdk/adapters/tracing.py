"""OpenTelemetry, in the few words that doors and adapters need.

Until `configure` was called every span is a no-op, so nothing here depends on it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT: Final = "traceparent"
MAX_LINKS: Final = 128

_FORM: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_tracers: Final = [trace.get_tracer("twinmesh_sdk")]
"""The tracer in use, last: `configure` adds its own, and takes it away at the end."""

AttributeValue = str | bool | int | float


def configure(
    *, service: str, version: str, trace_dir: str = "", otlp_endpoint: str = ""
) -> Callable[[], None]:
    """Begin to keep spans; returns what flushes and ends it.

    Args:
        trace_dir: Folder for `<service>.jsonl`, bounded and rotated; empty keeps none.
        otlp_endpoint: OTLP/HTTP address, for example `http://collector:4318/v1/traces`.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - the SDK is slow to import
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource({"service.name": service, "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if trace_dir:
        from twinmesh_sdk.adapters.trace_files import TraceFiles  # noqa: PLC0415

        provider.add_span_processor(
            BatchSpanProcessor(TraceFiles(Path(trace_dir), service), schedule_delay_millis=250)
        )
    if otlp_endpoint:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=otlp_endpoint)))
    tracer = provider.get_tracer("twinmesh_sdk")
    _tracers.append(tracer)

    def end() -> None:
        _tracers.remove(tracer)
        provider.force_flush(1_000)
        provider.shutdown()

    return end


def traceparent() -> str:
    """Return the W3C trace context of the span in hand; empty without one."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(TRACEPARENT, "")


def trace_id() -> str:
    """Return the id of the trace in hand, 32 hexadecimal digits; empty without one."""
    found = trace.get_current_span().get_span_context()
    return f"{found.trace_id:032x}" if found.is_valid else ""


def _context_of(parent: str) -> Context:
    """Return the context of a received traceparent; an unreadable one begins a new trace."""
    if not _FORM.fullmatch(parent):
        return Context()
    return _PROPAGATOR.extract({TRACEPARENT: parent}, context=Context())


def _links(traceparents: Sequence[str]) -> list[Link]:
    found: list[SpanContext] = []
    for text in dict.fromkeys(traceparents):
        linked = trace.get_current_span(_context_of(text)).get_span_context()
        if linked.is_valid:
            found.append(linked)
    return [Link(context) for context in found[:MAX_LINKS]]


@contextmanager
def span(
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, AttributeValue] | None = None,
) -> Iterator[Span]:
    """Open a span; what raises inside marks it as failed.

    Args:
        parent: A traceparent as received: empty begins a new trace. None continues the span in
            hand.
        links: Traceparents of further causes, where several messages made one batch.
    """
    mark = None if parent is None else otel_context.attach(_context_of(parent))
    try:
        with _tracers[-1].start_as_current_span(
            name,
            kind=kind,
            links=_links(links),
            attributes=dict(attributes or {}),
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            try:
                yield opened
            except BaseException as error:
                opened.set_status(
                    Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"[:300])
                )
                raise
    finally:
        if mark is not None:
            otel_context.detach(mark)
