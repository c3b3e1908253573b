"""What the gateway sends to subgraphs with each request, and what it reads from their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.request_times import EXTENSION, time_headers
from gateway.trust_summary import TrustSummary
from twinmesh_federation.execution.access import Caller
from twinmesh_federation.execution.client import CachedPart, SubgraphResponse
from twinmesh_federation.execution.cost import Cost
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.planning.plan import Fetch, Path, QueryPlan
from twinmesh_federation.serving import HeaderRules, RefusedRequest
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal
from twinmesh_sdk.core.request import Deadline
from twinmesh_sdk.core.times import ReadTime


@dataclass(slots=True)
class Asked:
    """One request at the gateway: who asks, about which times, until when, and what was learnt.

    Attributes:
        explain: Whether the plan was asked for.
        incoming: The client's headers that some rule reads.
        about_now: No other times were asked for.
        plan: The plan that ran; None before planning.
        variables: As the client sent them.
        told: What subgraphs said beside their answers; read for derived outputs afterwards.
        cost: What it was estimated to cost; None where no limit is set.
        subscribing: It is a subscription, not one of its events.
        cached: By subgraph, what of its part was kept from earlier answers, and how old it is.
        failed: What was wrong with the answer, in a word; empty for nothing.
    """

    principal: Principal
    token: str
    times: ReadTime
    deadline: Deadline
    explain: bool = False
    incoming: Mapping[str, str] = field(default_factory=dict)
    about_now: bool = True
    trust: TrustSummary = field(default_factory=TrustSummary)
    plan: QueryPlan | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    told: list[object] = field(default_factory=list)
    cost: Cost | None = None
    subscribing: bool = False
    cached: dict[str, CachedPart] = field(default_factory=dict)
    failed: str = ""

    def note_cached(self, subgraph: str, part: CachedPart) -> None:
        """Take into account that part of a subgraph's answer was kept from earlier ones."""
        known = self.cached.get(subgraph, CachedPart(0, (), 0.0))
        self.cached[subgraph] = CachedPart(
            known.entities + part.entities,
            tuple(sorted({*known.types, *part.types})),
            max(known.oldest_s, part.oldest_s),
        )


class MeshHooks(ExecutionHooks):
    """Forwards token, times, trace and deadline; collects trust and what else is told.

    Args:
        subgraph_timeout_s: The longest a subgraph may take; what is left of the request, if less.
        rules: Which of the client's headers go on too.
    """

    def __init__(self, *, subgraph_timeout_s: float, rules: HeaderRules | None = None) -> None:
        self._subgraph_timeout_s = subgraph_timeout_s
        self._rules = rules or HeaderRules()

    def headers(self, context: object, service: str) -> Mapping[str, str]:
        """See `ExecutionHooks.headers`."""
        assert isinstance(context, Asked)
        headers = {
            **self._rules.headers(context.incoming, service),
            "authorization": f"Bearer {context.token}",
        }
        if not context.subscribing:
            # A subscription lasts, and each of its events has a moment of its own.
            left_s = min(self._subgraph_timeout_s, context.deadline.remaining_s)
            headers["tm-deadline-ms"] = str(max(1, int(left_s * 1000)))
            headers |= time_headers(context.times)
        if SERVICE_ROLE in context.principal.roles:
            headers["tm-tenant"] = context.principal.tenant
        if parent := tracing.traceparent():
            headers["traceparent"] = parent
        return headers

    def caller(self, context: object) -> Caller:
        """See `ExecutionHooks.caller`: a verified token, whose roles are the scopes."""
        assert isinstance(context, Asked)
        return Caller(authenticated=True, scopes=context.principal.roles)

    def on_cost(self, context: object, cost: Cost) -> None:
        """See `ExecutionHooks.on_cost`."""
        assert isinstance(context, Asked)
        context.cost = cost

    def on_plan(self, context: object, plan: QueryPlan) -> None:
        """See `ExecutionHooks.on_plan`."""
        assert isinstance(context, Asked)
        context.plan = plan
        context.subscribing = plan.operation.kind == "subscription"
        if context.subscribing and not context.about_now:
            raise RefusedRequest(
                400,
                "INVALID_INPUT",
                "A subscription tells what happens from now on: asOf and knownAt do not apply.",
            )

    def on_response(
        self, context: object, fetch: Fetch, paths: tuple[Path, ...], response: SubgraphResponse
    ) -> None:
        """See `ExecutionHooks.on_response`."""
        assert isinstance(context, Asked)
        for path in paths or ((),):
            context.trust.add(fetch.service, _readable(path), response.extensions)
        if (told := response.extensions.get(EXTENSION)) is not None:
            context.told.append(told)
        if response.cached is not None:
            context.note_cached(fetch.service, response.cached)


def _readable(path: Path) -> list[str]:
    """Return a plan's path as text; a set of type conditions becomes `|A,B`."""
    return [part if isinstance(part, str) else "|" + ",".join(sorted(part)) for part in path]
