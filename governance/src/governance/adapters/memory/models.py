"""Models in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from governance.adapters.memory.state import Part
from governance.model.releases import ModelVersion
from governance.model.replicas import ReplicaAlarm
from governance.wire.model_events import lagging_envelope, recalled_envelope
from twinmesh_sdk.core.ids import Tenant


class MemoryModels(Part):
    """See `ModelSession`."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `ModelSession.models`."""
        return [m for m in self.state.models.values() if name is None or m.name == name]

    async def announce_recall(self, model: ModelVersion, told: Mapping[Tenant, datetime]) -> None:
        """See `ModelSession.announce_recall`."""
        for tenant, at in told.items():
            envelope = recalled_envelope(model, tenant, at)
            self.state.announced.setdefault(envelope.id, envelope)

    async def announce_alarms(self, alarms: Sequence[ReplicaAlarm]) -> None:
        """See `ModelSession.announce_alarms`."""
        for alarm in alarms:
            envelope = lagging_envelope(alarm)
            self.state.announced.setdefault(envelope.id, envelope)

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `ModelSession.save_models`."""
        for model in changed:
            self.state.models[str(model.name), str(model.version)] = model
