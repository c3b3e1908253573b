"""Every knob of the energy twin, beside those that all twins share."""

from pydantic import Field

from twinmesh_sdk.runtime.settings import DatabaseSettings


class EnergySettings(DatabaseSettings):
    """Variables are the field names, upper case, after `TWIN_`."""

    baseline_readings: int = Field(
        default=400,
        ge=60,
        le=100_000,
        description="readings of flow of a running pump that teach a configuration's baseline",
    )
    baseline_search_days: float = Field(
        default=7.0,
        gt=0,
        le=366,
        description="how far into a configuration they are looked for, in days of plant time",
    )
    readings_kept_days: float = Field(
        default=800.0,
        gt=0,
        le=36_600,
        description="how long readings are kept after they became known, in days of wall time",
    )
    batch_messages: int = Field(
        default=64, ge=1, le=1_000, description="telemetry messages taken in one transaction"
    )
