"""The subgraph: assets, their names, relations, configurations and signals."""

from asset_registry.subgraph.context import Context
from asset_registry.subgraph.schema import SCHEMA

__all__ = ["SCHEMA", "Context"]
