"""What the server around the engine may see and set, without the engine knowing why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinmesh_federation.execution.access import Caller
from twinmesh_federation.execution.client import SubgraphResponse
from twinmesh_federation.execution.cost import Cost
from twinmesh_federation.planning.plan import Fetch, Path, QueryPlan


class ExecutionHooks:
    """Does nothing; subclass it. One instance serves all requests, `context` tells them apart."""

    def headers(self, context: object, service: str) -> Mapping[str, str]:  # noqa: ARG002
        """Return headers for each request to `service`."""
        return {}

    def request_extensions(self, context: object, service: str) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the request's `extensions`; empty means none are sent."""
        return {}

    def override_labels(self, context: object) -> frozenset[str]:  # noqa: ARG002
        """Return the override labels that are on for this request, percentages aside."""
        return frozenset()

    def caller(self, context: object) -> Caller:  # noqa: ARG002
        """Say who asks, for supergraphs with @authenticated, @requiresScopes or @policy."""
        return Caller()

    def on_cost(self, context: object, cost: Cost) -> None:
        """See what the operation was estimated to cost; only where a cost limit is set."""

    def on_plan(self, context: object, plan: QueryPlan) -> None:
        """See the plan before it runs."""

    def on_response(
        self, context: object, fetch: Fetch, paths: tuple[Path, ...], response: SubgraphResponse
    ) -> None:
        """See each subgraph's response, extensions included, and the paths it answers."""
