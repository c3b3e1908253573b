"""The subgraph: which contracts and models are in force, for whoever reads the graph."""

import strawberry

from governance.subgraph.consumers import OverrideQuery
from governance.subgraph.context import Context, ContractChanges
from governance.subgraph.contracts import ContractQuery, ContractType
from governance.subgraph.lineage import AssetLineage, LineageQuery
from governance.subgraph.models import ModelQuery, ModelType
from governance.subgraph.shadows import ShadowQuery
from twinmesh_sdk.graphql import subgraph_schema

__all__ = ["SCHEMA", "Context", "ContractChanges"]


@strawberry.type
class Query(ContractQuery, ModelQuery, LineageQuery, OverrideQuery, ShadowQuery):
    """What governance adds to the graph's root."""


SCHEMA = subgraph_schema(Query, types=[ContractType, ModelType, AssetLineage])
