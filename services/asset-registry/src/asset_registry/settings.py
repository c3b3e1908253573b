"""Every knob of the asset registry, beside those that all twins share."""

from pydantic import Field, SecretStr

from twinmesh_sdk.runtime.settings import TwinSettings


class AssetRegistrySettings(TwinSettings):
    """Variables are the field names, upper case, after `TWIN_`."""

    neo4j_uri: str = Field(
        pattern=r"^(bolt|neo4j)(\+s|\+ssc)?://",
        description="bolt:// or neo4j:// address of the graph: Neo4j 5, or ArcadeDB",
    )
    neo4j_user: str = Field(default="neo4j", description="user of the graph")
    neo4j_password: SecretStr = Field(
        description="password of the graph's user, from a mounted secret"
    )
    neo4j_database: str = Field(default="neo4j", description="database within the graph server")
    neo4j_pool: int = Field(
        default=50, ge=1, le=1000, description="most connections kept to the graph"
    )
    migrate_on_start: bool = Field(
        default=True,
        description="create missing constraints and indexes at start; a cluster does it in a Job",
    )
