"""Every knob of telemetry, beside those that all twins share."""

from pydantic import Field, SecretStr

from twinmesh_sdk.runtime.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Variables are the field names, upper case, after `TWIN_`."""

    clickhouse_url: SecretStr = Field(
        description="http(s)://user:password@host:port/ of the reading store, a mounted secret"
    )
    clickhouse_database: str = Field(
        default="telemetry", description="database of the readings; made when it is missing"
    )
    clickhouse_timeout_s: float = Field(
        default=30.0, gt=0, le=300, description="longest a query of the store may take, in seconds"
    )
    future_tolerance_s: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="plant seconds a stamp may run ahead of the plant's clock, one wall second on "
        "top; a later one is quarantined as FUTURE",
    )
    max_age_days: float = Field(
        default=36_525.0,
        gt=0,
        le=36_525,
        description="days a stamp may lie back; an earlier one is quarantined as TOO_OLD",
    )
    migrate_on_start: bool = Field(
        default=True, description="bring both databases to this release's schema at start-up"
    )
