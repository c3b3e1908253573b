"""Subgraphs in the test's own process."""

from twinmesh_federation.testing.local import (
    LocalSubgraph,
    LocalSubgraphs,
    executable_schema,
)

__all__ = ["LocalSubgraph", "LocalSubgraphs", "executable_schema"]
