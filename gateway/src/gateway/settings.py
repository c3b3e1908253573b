"""Every knob of the gateway."""

from pydantic import Field

from twinmesh_sdk.runtime.settings import TwinSettings


class GatewaySettings(TwinSettings):
    """Settings of the gateway. Variables are the field names, upper case, after `TWIN_`."""

    subgraph_timeout_s: float = Field(
        default=3.0, gt=0, le=60, description="deadline of each request to a subgraph, in seconds"
    )
    answer_timeout_s: float = Field(
        default=10.0, gt=0, le=120, description="deadline of a whole operation, in seconds"
    )
    max_body_bytes: int = Field(
        default=1_000_000, ge=1_000, le=10_000_000, description="largest request body, in bytes"
    )
    max_depth: int = Field(default=20, ge=1, le=100, description="deepest nesting of an operation")
    max_aliases: int = Field(default=100, ge=0, le=1_000, description="most aliases per operation")
    introspection: bool = Field(
        default=True, description="whether clients may ask for the schema itself"
    )
