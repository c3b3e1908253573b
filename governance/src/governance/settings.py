"""Every knob of governance."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from twinmesh_sdk.runtime.settings import DatabaseSettings


class GovernanceSettings(DatabaseSettings):
    """Variables are the field names, upper case, after `TWIN_`."""

    republish_s: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="how often the published snapshot is compared with the database, in seconds",
    )
    nats_replicas: int = Field(
        default=1, ge=1, le=5, description="replicas of a bucket that has to be made again"
    )
    environment: str = Field(
        default="local",
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=32,
        description=(
            "the environment whose supergraph is composed here: of deployed, ready versions where "
            "it records deployments, else of registered ones"
        ),
    )
    use_window_days: float = Field(
        default=30.0,
        gt=0,
        le=365,
        description="how far back a use of a contract counts as one that goes on, in days",
    )
    deprecation_window_days: float = Field(
        default=30.0,
        gt=0,
        le=365,
        description="how long what is deprecated stays before it may go unused, in days",
    )
    uses_kept_days: float = Field(
        default=400.0,
        ge=1,
        le=3650,
        description="how long a use of a contract is kept after it was last seen, in days",
    )
    receipts_kept_days: float = Field(
        default=400.0,
        ge=1,
        le=3650,
        description="how long a receipt is kept after it was last added to, in days",
    )
    model_key: SecretStr = Field(
        default=SecretStr(""),
        description="Ed25519 seed that signs the digests of approved models, 64 hexadecimal digits",
    )
    recall_wait_s: float = Field(
        default=15.0,
        ge=0,
        le=300,
        description="longest that a recall waits for the twins to withdraw, in seconds",
    )
    model_rulings: Literal["automatic", "advice"] = Field(
        default="automatic",
        description=(
            "whether figures of live events promote and roll back model versions, or are recorded "
            "and told only"
        ),
    )
    model_judge_s: float = Field(
        default=10.0,
        ge=0.1,
        le=3600,
        description="shortest time from one look at what was measured to the next, in seconds",
    )
    promotion_least_windows: int = Field(
        default=72, ge=2, le=4_000, description="windows before which no shadow is promoted"
    )
    promotion_least_span_s: float = Field(
        default=86_400.0,
        ge=0,
        le=31_536_000,
        description="plant time before which no shadow is promoted, in seconds",
    )
    drift_learned_windows: int = Field(
        default=50, ge=5, le=1_000, description="windows that teach what is normal of a version"
    )
    measurements_kept_days: float = Field(
        default=100.0,
        ge=1,
        le=3650,
        description="how long windows that twins measured are kept, in days",
    )
    audit_key: SecretStr = Field(
        default=SecretStr(""),
        description="Ed25519 seed that signs the audit log's tree heads, 64 hexadecimal digits",
    )
    audit_heads_file: Path | None = Field(
        default=None, description="file that published tree heads are also appended to"
    )
    audit_heads_s: float = Field(
        default=5.0, gt=0, le=3600, description="how often grown logs get a new published head"
    )
    policy_refresh_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="how often policies that another replica put in force are taken up",
    )
    reality_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="how often charters are held against reality, in seconds",
    )
    reality_patience_s: float = Field(
        default=300.0,
        ge=0,
        le=86_400,
        description="how long a measure speaks against a promise before it counts, in seconds",
    )
    migrate_on_start: bool = Field(
        default=True, description="bring the database to this release's schema when starting"
    )
