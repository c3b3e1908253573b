"""Every knob of the plant; the only reader of its environment."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

TENANT: Final = r"^[a-z0-9-]{1,32}$"


class PlantSettings(BaseSettings):
    """Settings of the plant. Variables are the field names, upper case, after `TWIN_`."""

    model_config = SettingsConfigDict(env_prefix="TWIN_", frozen=True)

    nats_url: str = Field(description="address of NATS, for the plant clock")
    nats_user: str = Field(default="", description="NATS user that may write the plant clock")
    nats_password: SecretStr = Field(default=SecretStr(""), description="its password")
    mqtt_host: str = Field(default="127.0.0.1", description="where devices connect")
    mqtt_port: int = Field(ge=1, le=65535, description="MQTT port")
    plant_credentials: Path = Field(
        description="JSON file: MQTT user and password per source, readable by its owner only"
    )
    assets_addr: str = Field(description="gRPC host:port of asset-registry")
    telemetry_url: str = Field(description="HTTP address of telemetry")
    oidc_token_url: str = Field(description="token endpoint of the issuer")
    client_id: str = Field(default="plant", description="the plant's client id at the issuer")
    client_secret: SecretStr = Field(description="its secret")
    plant_tenant: str = Field(default="acme", pattern=TENANT, description="whose plant it is")
    plant_journal: Path = Field(description="file that says what is replayed and how far")
    plant_run: str = Field(default="", max_length=80, description="tells one run from the next")
    plant_data: Path | None = Field(default=None, description="folder of recordings, or none")
    plant_speed: float | None = Field(
        default=None, ge=1, le=3600, description="plant seconds per wall second; default by phase"
    )
    plant_seed: int | None = Field(
        default=None, ge=0, lt=2**63, description="seed of the simulation; default a random one"
    )
    plant_gate: Path | None = Field(
        default=None, description="file to wait for before anything is sent, or none"
    )
    plant_mode: Literal["live", "intro", "once"] = Field(
        default="live",
        description="live: in wall time for ever; intro: a fast episode first; once: no more",
    )
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
