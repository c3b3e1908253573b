"""Every knob of the time-series store's process."""

import ipaddress
from pathlib import Path

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class TsdbSettings(BaseSettings):
    """Variables are the field names, upper case, after `TSDB_`."""

    model_config = SettingsConfigDict(env_prefix="TSDB_", frozen=True)

    folder: Path = Field(description="data; one process at a time")
    host: str = Field(default="127.0.0.1", description="a loopback address; others are refused")
    port: int = Field(ge=1, le=65535)
    password: SecretStr = Field(min_length=8, description="of the user `twinmesh`")

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if not ipaddress.ip_address(value).is_loopback:
            raise ValueError("this stand-in for ClickHouse listens on loopback only")
        return value
