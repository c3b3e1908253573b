"""What governance needs for models."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from governance.model.releases import ModelVersion
from governance.model.replicas import ReplicaAlarm
from twinmesh_sdk.core.ids import Tenant


class ModelSession(Protocol):
    """Models in a transaction."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """Return the versions of one model, or of all."""
        ...

    async def announce_recall(self, model: ModelVersion, told: Mapping[Tenant, datetime]) -> None:
        """Tell tenants of a recall, each at its plant time, beside the state."""
        ...

    async def announce_alarms(self, alarms: Sequence[ReplicaAlarm]) -> None:
        """Tell tenants of processes that run other versions than the schedule says."""
        ...

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """Insert or update these versions."""
        ...
