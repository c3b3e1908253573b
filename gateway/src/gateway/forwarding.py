"""What the gateway sends to subgraphs with each request, and what it reads from their answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.request_times import EXTENSION, time_headers
from gateway.trust_summary import TrustSummary
from twinmesh_federation.execution.client import SubgraphResponse
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.planning.plan import Fetch, Path, QueryPlan
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.core.consumption import CollectedOutputs
from twinmesh_sdk.core.principal import SERVICE_ROLE, Principal
from twinmesh_sdk.core.request import Deadline
from twinmesh_sdk.core.times import ReadTime


@dataclass(slots=True)
class Asked:
    """One request at the gateway: who asks, about which times, until when, and what was learnt.

    Attributes:
        explain: Whether the plan was asked for.
        plan: The plan that ran; None before planning.
        variables: As the client sent them.
        outputs: The derived outputs that the subgraphs' answers carry.
    """

    principal: Principal
    token: str
    times: ReadTime
    deadline: Deadline
    explain: bool = False
    trust: TrustSummary = field(default_factory=TrustSummary)
    plan: QueryPlan | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    outputs: CollectedOutputs = field(default_factory=CollectedOutputs)


class MeshHooks(ExecutionHooks):
    """Forwards token, times, trace and deadline; collects trust and derived outputs.

    Args:
        subgraph_timeout_s: The longest a subgraph may take; what is left of the request, if less.
    """

    def __init__(self, *, subgraph_timeout_s: float) -> None:
        self._subgraph_timeout_s = subgraph_timeout_s

    def headers(self, context: object, service: str) -> Mapping[str, str]:
        """See `ExecutionHooks.headers`."""
        del service
        assert isinstance(context, Asked)
        left_s = min(self._subgraph_timeout_s, context.deadline.remaining_s)
        headers = {
            "authorization": f"Bearer {context.token}",
            "tm-deadline-ms": str(max(1, int(left_s * 1000))),
            **time_headers(context.times),
        }
        if SERVICE_ROLE in context.principal.roles:
            headers["tm-tenant"] = context.principal.tenant
        if parent := tracing.traceparent():
            headers["traceparent"] = parent
        return headers

    def on_plan(self, context: object, plan: QueryPlan) -> None:
        """See `ExecutionHooks.on_plan`."""
        assert isinstance(context, Asked)
        context.plan = plan

    def on_response(
        self, context: object, fetch: Fetch, paths: tuple[Path, ...], response: SubgraphResponse
    ) -> None:
        """See `ExecutionHooks.on_response`."""
        assert isinstance(context, Asked)
        for path in paths or ((),):
            context.trust.add(fetch.service, _readable(path), response.extensions)
        context.outputs.merge(CollectedOutputs.of_extension(response.extensions.get(EXTENSION)))


def _readable(path: Path) -> list[str]:
    """Return a plan's path as text; a set of type conditions becomes `|A,B`."""
    return [part if isinstance(part, str) else "|" + ",".join(sorted(part)) for part in path]
