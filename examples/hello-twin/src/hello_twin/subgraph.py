"""What the twin adds to the graph: `Asset.hello`."""

from typing import Self

import strawberry
import strawberry.federation

from twinmesh_sdk.graphql import subgraph_schema
from twinmesh_sdk.runtime import current_principal, current_read_time


@strawberry.federation.type(keys=["id"])
class Asset:
    """Owned by asset-registry; this twin adds `hello`."""

    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Self:
        """Stand in for the asset; the gateway asks for hundreds at once."""
        return cls(id=id)

    @strawberry.field(description="A greeting at the plant time of the request.")
    def hello(self) -> str | None:
        """Greet the caller on behalf of the asset."""
        caller, now = current_principal(), current_read_time().now
        return f"Hello {caller.subject}, {self.id} here; it is {now:%H:%M} in the plant."


schema = subgraph_schema(types=[Asset])
