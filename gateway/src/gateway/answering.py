"""The GraphQL door: who may ask, about which times, and what the answer says of itself."""

import logging
from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import Counter, Histogram
from starlette.requests import Request

from gateway.consumption import Consumption
from gateway.forwarding import Asked
from gateway.request_times import EXTENSION, read_times
from twinmesh_federation.execution.result import ExecutionResult, GraphQLRequest, SubgraphStatus
from twinmesh_federation.http import RefusedRequest
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.errors import TwinError, UnauthenticatedError
from twinmesh_sdk.core.request import Deadline, caller_token, current_principal
from twinmesh_sdk.core.times import format_time
from twinmesh_sdk.ports.clock import Clock
from twinmesh_sdk.runtime.failures import HTTP_STATUS, extensions_of

log = logging.getLogger(__name__)

READ_ROLE: Final = "read"
EXPLAIN: Final = "x-twinmesh-explain"

SUBGRAPH_STATUS: Final = Counter(
    "twinmesh_gateway_subgraph_requests",
    "Requests to subgraphs, by subgraph and outcome",
    ["subgraph", "status"],
)
OPERATIONS: Final = Counter(
    "twinmesh_gateway_operations", "Operations answered, by outcome", ["outcome"]
)
SUBGRAPH_SECONDS: Final = Histogram(
    "twinmesh_gateway_subgraph_seconds", "Slowest request per subgraph and operation", ["subgraph"]
)


class Answering:
    """Admits requests to the engine and completes what it answers."""

    def __init__(self, clock: Clock, consumption: Consumption, *, answer_timeout_s: float) -> None:
        self._clock = clock
        self._consumption = consumption
        self._answer_timeout_s = answer_timeout_s

    def admit(self, request: Request, asked: GraphQLRequest) -> Asked:
        """Return what is known of a request before it runs.

        Raises:
            RefusedRequest: No token, one that lacks the role, or unusable times. A token that does
                not verify was refused by the HTTP door before.
        """
        try:
            return self._admit(request.headers, asked)
        except TwinError as error:
            headers = {}
            if isinstance(error, UnauthenticatedError):
                headers["www-authenticate"] = 'Bearer realm="twinmesh"'
            details = extensions_of(error, tracing.trace_id())
            code = str(details.pop("code"))
            raise RefusedRequest(
                HTTP_STATUS[error.code], code, str(error), headers=headers, extensions=details
            ) from error

    def _admit(self, headers: Mapping[str, str], asked: GraphQLRequest) -> Asked:
        principal = current_principal()
        principal.require(READ_ROLE)
        return Asked(
            principal=principal,
            token=caller_token(),
            times=read_times(asked.extensions, plant_now=self._clock.plant_now(principal.tenant)),
            deadline=Deadline.after(self._answer_timeout_s),
            explain=headers.get(EXPLAIN, "").strip().lower() == "plan",
            variables=asked.variables,
        )

    def finish(self, context: object, result: ExecutionResult) -> None:
        """Add `extensions.twinmesh`: times, status per subgraph, worst trust; count the outcome."""
        assert isinstance(context, Asked)
        trace_id = tracing.trace_id()
        said: dict[str, Any] = {
            "now": format_time(context.times.now),
            "asOf": format_time(context.times.as_of),
            "knownAt": context.times.known_at and format_time(context.times.known_at),
            "subgraphs": {name: r.to_json() for name, r in sorted(result.subgraphs.items())},
            "trust": context.trust.as_extension(),
            "traceId": trace_id,
        }
        if context.explain and context.plan is not None:
            said["plan"] = context.plan.to_json()
        result.extensions[EXTENSION] = said
        for error in result.errors:
            error.setdefault("extensions", {}).setdefault("traceId", trace_id)
        for name, report in result.subgraphs.items():
            SUBGRAPH_STATUS.labels(name, report.status.value).inc(max(1, report.fetches))
            SUBGRAPH_SECONDS.labels(name).observe(report.ms / 1000)
        OPERATIONS.labels(_outcome(result)).inc()
        self._consumption.answered(context)


def _outcome(result: ExecutionResult) -> str:
    if not result.has_data:
        return "refused"
    failed = any(r.status is not SubgraphStatus.OK for r in result.subgraphs.values())
    return "partial" if failed or result.errors else "whole"
