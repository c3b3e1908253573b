"""The supergraph as the planner sees it."""

from twinmesh_federation.supergraph.load import SupergraphError, load_supergraph
from twinmesh_federation.supergraph.model import (
    AccessRule,
    ArgumentInfo,
    FieldInfo,
    FieldJoin,
    GraphInfo,
    KeyJoin,
    Supergraph,
    TypeInfo,
    TypeJoin,
    TypeRef,
)

__all__ = [
    "AccessRule",
    "ArgumentInfo",
    "FieldInfo",
    "FieldJoin",
    "GraphInfo",
    "KeyJoin",
    "Supergraph",
    "SupergraphError",
    "TypeInfo",
    "TypeJoin",
    "TypeRef",
    "load_supergraph",
]
