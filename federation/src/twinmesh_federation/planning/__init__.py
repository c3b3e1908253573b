"""From an operation to a query plan."""

from twinmesh_federation.planning.errors import (
    PlanError,
    PlanLimitError,
    UnknownOperationError,
    UnreachableFieldError,
)
from twinmesh_federation.planning.plan import (
    Condition,
    Fetch,
    Flatten,
    Parallel,
    PlanNode,
    QueryPlan,
    Sequence,
    fetches_in,
)
from twinmesh_federation.planning.planner import PlanKey, Planner

__all__ = [
    "Condition",
    "Fetch",
    "Flatten",
    "Parallel",
    "PlanError",
    "PlanKey",
    "PlanLimitError",
    "PlanNode",
    "Planner",
    "QueryPlan",
    "Sequence",
    "UnknownOperationError",
    "UnreachableFieldError",
    "fetches_in",
]
