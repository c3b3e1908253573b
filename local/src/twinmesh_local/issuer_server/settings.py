"""Every knob of the development issuer."""

import ipaddress
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class IssuerSettings(BaseSettings):
    """Variables are the field names, upper case, after `ISSUER_`."""

    model_config = SettingsConfigDict(env_prefix="ISSUER_", frozen=True)

    folder: Path = Field(description="signing key and clients")
    host: str = Field(default="127.0.0.1", description="a loopback address; others are refused")
    port: int = Field(ge=1, le=65535)

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        if not ipaddress.ip_address(value).is_loopback:
            raise ValueError("the development issuer listens on loopback only")
        return value
