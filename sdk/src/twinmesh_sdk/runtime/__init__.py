"""The runtime of a twin: doors, workers, health, graceful stop."""

from twinmesh_sdk.core.request import (
    acting_for,
    caller_token,
    current_deadline,
    current_principal,
    current_read_time,
    current_tenant,
)
from twinmesh_sdk.runtime.service import TwinService
from twinmesh_sdk.runtime.settings import DatabaseSettings, TwinSettings

__all__ = [
    "DatabaseSettings",
    "TwinService",
    "TwinSettings",
    "acting_for",
    "caller_token",
    "current_deadline",
    "current_principal",
    "current_read_time",
    "current_tenant",
]
