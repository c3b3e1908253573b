"""Apollo Federation v2 in Python: composition, planning, execution.

    composition = compose([Subgraph("assets", "http://…/graphql", sdl), …])
    if isinstance(composition, CompositionFailed): …  # composition.errors
    engine = Engine(AiohttpSubgraphClient(), supergraph=composition.supergraph, hooks=…)
    result = await engine.execute(GraphQLRequest("{ assets { id } }"), context=…)
    engine.swap(next_supergraph)

The Starlette handler is `twinmesh_federation.http.GraphQLHandler`.
"""

from twinmesh_federation.composition import Composition, CompositionFailed, compose
from twinmesh_federation.engine import Engine
from twinmesh_federation.execution.access import Caller
from twinmesh_federation.execution.aiohttp_client import AiohttpSubgraphClient
from twinmesh_federation.execution.client import (
    SubgraphClient,
    SubgraphFailure,
    SubgraphRequest,
    SubgraphResponse,
)
from twinmesh_federation.execution.executor import Executor, ExecutorOptions, PreparedOperation
from twinmesh_federation.execution.hooks import ExecutionHooks
from twinmesh_federation.execution.http_client import HttpSubgraphClient
from twinmesh_federation.execution.limits import Limits
from twinmesh_federation.execution.resilience import (
    DeduplicatingClient,
    Resilience,
    ResilientClient,
)
from twinmesh_federation.execution.result import (
    ExecutionResult,
    GraphQLRequest,
    SubgraphReport,
    SubgraphStatus,
    request_error,
)
from twinmesh_federation.execution.run import Deadlines
from twinmesh_federation.issues import CompositionIssue, Subgraph
from twinmesh_federation.planning import (
    Fetch,
    PlanError,
    PlanLimitError,
    Planner,
    QueryPlan,
    fetches_in,
)
from twinmesh_federation.supergraph import Supergraph, SupergraphError, load_supergraph

__all__ = [
    "AiohttpSubgraphClient",
    "Caller",
    "Composition",
    "CompositionFailed",
    "CompositionIssue",
    "Deadlines",
    "DeduplicatingClient",
    "Engine",
    "ExecutionHooks",
    "ExecutionResult",
    "Executor",
    "ExecutorOptions",
    "Fetch",
    "GraphQLRequest",
    "HttpSubgraphClient",
    "Limits",
    "PlanError",
    "PlanLimitError",
    "Planner",
    "PreparedOperation",
    "QueryPlan",
    "Resilience",
    "ResilientClient",
    "Subgraph",
    "SubgraphClient",
    "SubgraphFailure",
    "SubgraphReport",
    "SubgraphRequest",
    "SubgraphResponse",
    "SubgraphStatus",
    "Supergraph",
    "SupergraphError",
    "compose",
    "fetches_in",
    "load_supergraph",
    "request_error",
]
