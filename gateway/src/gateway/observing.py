"""Spans and metrics of what the gateway does: operations, requests to subgraphs, refusals."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any, Final

from opentelemetry.trace import SpanKind, Status, StatusCode
from prometheus_client import Counter, Gauge, Histogram

from gateway.forwarding import Asked
from twinmesh_federation.execution.client import (
    SubgraphClient,
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)
from twinmesh_federation.execution.result import ExecutionResult, SubgraphStatus
from twinmesh_sdk.adapters import tracing

SUBGRAPH_STATUS: Final = Counter(
    "twinmesh_gateway_subgraph_requests",
    "Requests to subgraphs, by subgraph and outcome",
    ["subgraph", "status"],
)
SUBGRAPH_SECONDS: Final = Histogram(
    "twinmesh_gateway_subgraph_seconds", "Slowest request per subgraph and operation", ["subgraph"]
)
OPERATIONS: Final = Counter(
    "twinmesh_gateway_operations", "Operations answered, by outcome", ["outcome"]
)
OPERATION_SECONDS: Final = Histogram(
    "twinmesh_gateway_operation_seconds",
    "Time to answer an operation, or an event of a subscription",
    ["kind", "operation"],
)
REFUSED: Final = Counter(
    "twinmesh_gateway_refused", "Requests refused, by code and limit", ["code", "limit"]
)
MASKED: Final = Counter(
    "twinmesh_gateway_masked_errors", "Errors of subgraphs that clients do not see", ["subgraph"]
)
COST: Final = Histogram(
    "twinmesh_gateway_operation_cost",
    "Estimated cost of operations",
    ["metric"],
    buckets=(1, 10, 100, 1_000, 10_000, 100_000, 1_000_000),
)
SUBSCRIPTIONS: Final = Gauge("twinmesh_gateway_subscriptions", "Subscriptions that are open")
SWAPS: Final = Counter(
    "twinmesh_gateway_supergraph_swaps", "Supergraphs taken up, or refused", ["outcome"]
)
KNOWN_CODES: Final = frozenset(
    ("BAD_REQUEST", "BAD_USER_INPUT", "DEADLINE_EXCEEDED", "FORBIDDEN", "GRAPHQL_PARSE_FAILED",
     "GRAPHQL_VALIDATION_FAILED", "INVALID_INPUT", "LIMIT_EXCEEDED", "PERSISTED_QUERY_NOT_FOUND",
     "PERSISTED_QUERY_HASH_MISMATCH", "PERSISTED_QUERY_NOT_SUPPORTED", "QUERY_NOT_IN_SAFELIST",
     "SLOW_CONSUMER", "UNAUTHENTICATED", "UNAVAILABLE")
)  # fmt: skip


MAX_NAMES: Final = 200
_names: Final[set[str]] = set()


def name_of(operation: str | None) -> str:
    """Return an operation's name as a label: clients choose them, so only so many are kept."""
    name = (operation or "")[:100]
    if name not in _names:
        if len(_names) >= MAX_NAMES:
            return "other"
        _names.add(name)
    return name


class TracingClient:
    """A subgraph client around another: one span per request, whose context the subgraph gets."""

    def __init__(self, inner: SubgraphClient) -> None:
        self._inner = inner

    async def send(self, request: SubgraphRequest) -> SubgraphResponse:
        """See `SubgraphClient.send`."""
        with tracing.span(
            f"subgraph {request.service}",
            kind=SpanKind.CLIENT,
            attributes={"url.full": request.url, "peer.service": request.service},
        ) as span:
            if parent := tracing.traceparent():
                request = replace(request, headers={**request.headers, tracing.TRACEPARENT: parent})
            try:
                response = await self._inner.send(request)
            except SubgraphFailure as failure:
                span.set_attribute("error.type", failure.code)
                raise
            span.set_attribute("http.response.status_code", response.http_status)
            if response.cached is not None:
                span.set_attribute("twin.cached_entities", response.cached.entities)
            if response.errors:
                span.set_attribute("graphql.errors", len(response.errors))
            return response

    async def close(self) -> None:
        """See `SubgraphClient.close`."""
        await self._inner.close()


@contextmanager
def observed(context: object) -> Iterator[None]:
    """Put one operation, or one event of a subscription, into a span and a histogram."""
    assert isinstance(context, Asked)
    # Over a WebSocket nothing has begun a trace yet.
    parent = None if tracing.trace_id() else ""
    began = perf_counter()
    with tracing.span("graphql operation", parent=parent) as span:
        yield
        kind, name = "unknown", ""
        if context.plan is not None:
            operation = context.plan.operation
            kind, name = operation.kind, name_of(operation.name)
            span.update_name(f"graphql {kind} {operation.name or ''}".strip()[:200])
            span.set_attribute("graphql.operation.type", kind)
            span.set_attribute("graphql.operation.name", (operation.name or "")[:200])
        span.set_attribute("twin.tenant", context.principal.tenant)
        span.set_attribute("twin.client", context.principal.client_id)
        if context.cost is not None:
            span.set_attribute("twin.field_cost", context.cost.field)
            span.set_attribute("twin.type_cost", context.cost.type)
        if context.failed:
            span.set_status(Status(StatusCode.ERROR, context.failed))
    OPERATION_SECONDS.labels(kind, name).observe(perf_counter() - began)


def count_result(context: Asked, result: ExecutionResult) -> None:
    """Count one answer."""
    for name, report in result.subgraphs.items():
        SUBGRAPH_STATUS.labels(name, report.status.value).inc(max(1, report.fetches))
        SUBGRAPH_SECONDS.labels(name).observe(report.ms / 1000)
    if context.cost is not None:
        COST.labels("field").observe(context.cost.field)
        COST.labels("type").observe(context.cost.type)
    outcome = outcome_of(result)
    context.failed = "" if outcome == "whole" else outcome
    OPERATIONS.labels(outcome).inc()
    if outcome == "refused":
        for error in result.errors[:1]:
            extensions = error.get("extensions") or {}
            count_refusal(str(extensions.get("code")), extensions)


def count_refusal(code: str, extensions: dict[str, Any]) -> None:
    """Count one refusal; codes and limits are a bounded set."""
    limit = extensions.get("limit")
    REFUSED.labels(
        code if code in KNOWN_CODES else "OTHER", limit if isinstance(limit, str) else ""
    ).inc()


def outcome_of(result: ExecutionResult) -> str:
    """Say how an answer is: refused, partial or whole."""
    if not result.has_data:
        return "refused"
    failed = any(r.status is not SubgraphStatus.OK for r in result.subgraphs.values())
    return "partial" if failed or result.errors else "whole"
