"""Every knob of the maintenance twin; the only reader of the environment."""

from pydantic import Field

from twinmesh_sdk.runtime.settings import DatabaseSettings


class Settings(DatabaseSettings):
    """Variables are the field names, upper case, after `TWIN_`."""

    baseline_rows: int = Field(
        default=400,
        ge=50,
        le=100_000,
        description="aligned rows of a configuration version that teach what is healthy",
    )
    healthy_close_s: float = Field(
        default=120.0,
        ge=1,
        le=86_400,
        description="healthy time after which an open work item closes, in seconds of plant time",
    )
    false_alarm_probability: float = Field(
        default=1e-3, gt=0, lt=0.5, description="of one chart point, under health"
    )
    persistence_s: float = Field(
        default=180.0,
        ge=1,
        le=86_400,
        description="window that must deviate before an item opens, in seconds of plant time",
    )
    lateness_s: float = Field(
        default=5.0,
        ge=0,
        le=3_600,
        description="how long readings may overtake each other, in seconds of plant time",
    )
    rows_kept_days: float = Field(
        default=30.0,
        gt=0,
        le=3_650,
        description="how long decided rows are kept for corrections, in days of plant time",
    )
