"""Every knob that all twins share; the only reader of the environment in the SDK."""

import os
from typing import Final, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Not the service's name: Kubernetes injects <SERVICE>_PORT and friends into every pod.
PREFIX: Final = "TWIN_"


class TwinSettings(BaseSettings):
    """Settings of every twin. Variables are the field names, upper case, after `TWIN_`.

    Read once, in app.py; adapters receive plain values, never this object. A service adds its own
    by subclassing. An unknown `TWIN_` variable is refused, so a misspelt one is not overlooked.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    http_host: str = Field(default="127.0.0.1", description="address the HTTP doors listen on")
    http_port: int = Field(
        default=8080, ge=0, le=65535, description="port of the HTTP doors; 0 picks a free one"
    )
    grpc_host: str = Field(default="127.0.0.1", description="address the gRPC door listens on")
    grpc_port: int = Field(
        default=50051, ge=0, le=65535, description="port of the gRPC door; 0 picks a free one"
    )
    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="address of the NATS server; several are separated by commas",
    )
    nats_user: str = Field(default="", description="NATS user of this service; empty for none")
    nats_password: SecretStr = Field(
        default=SecretStr(""), description="password of the NATS user, from a mounted secret"
    )
    oidc_issuer: str = Field(
        description="issuer (`iss`) of accepted tokens; its discovery document is read from there"
    )
    oidc_audience: str = Field(
        default="twinmesh", description="audience (`aud`) that accepted tokens must name"
    )
    oidc_jwks_url: str = Field(
        default="", description="address of the issuer's keys; empty to ask discovery"
    )
    oidc_token_url: str = Field(
        default="", description="address that issues this service's token; empty to ask discovery"
    )
    client_id: str = Field(default="", description="this service's client id at the issuer")
    client_secret: SecretStr = Field(
        default=SecretStr(""), description="this service's client secret, from a mounted secret"
    )
    trace_dir: str = Field(
        default="", description="folder that keeps spans as JSON lines; empty keeps none"
    )
    otlp_endpoint: str = Field(
        default="", description="OTLP/HTTP address for spans; empty sends none"
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="DEBUG, INFO, WARNING or ERROR",
    )
    call_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="longest an outgoing call may take, in seconds"
    )
    request_timeout_s: float = Field(
        default=30.0, gt=0, le=300, description="longest a request may take here, in seconds"
    )
    assets_addr: str = Field(default="", description="gRPC host:port of asset-registry")
    telemetry_addr: str = Field(default="", description="gRPC host:port of telemetry")
    maintenance_addr: str = Field(default="", description="gRPC host:port of maintenance-twin")
    energy_addr: str = Field(default="", description="gRPC host:port of energy-twin")
    governance_addr: str = Field(default="", description="gRPC host:port of governance")

    @model_validator(mode="after")
    def _no_misspelt_variable(self) -> Self:
        """Refuse strangers: `extra="forbid"` alone overlooks them in the environment."""
        known = {PREFIX + name.upper() for name in type(self).model_fields}
        present = {n for n in os.environ if n.startswith(PREFIX)}
        if strangers := present - known:
            raise ValueError(f"unknown settings: {', '.join(sorted(strangers))}")
        return self


class DatabaseSettings(TwinSettings):
    """Settings of a twin that keeps its state in PostgreSQL."""

    database_url: SecretStr = Field(
        description="postgresql+asyncpg://user:password@host:port/database, from a mounted secret"
    )
    database_pool: int = Field(
        default=5, ge=1, le=100, description="connections kept open to the database"
    )
