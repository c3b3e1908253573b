"""Models in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import MODELS, OUTBOX
from governance.model.releases import ModelVersion
from governance.model.replicas import ReplicaAlarm
from governance.wire.model_events import lagging_envelope, recalled_envelope
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import Tenant


class PostgresModels(Transaction):
    """See `ModelSession`."""

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `ModelSession.models`."""
        query = select(MODELS) if name is None else select(MODELS).where(MODELS.c.name == name)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.model_of(dict(row)) for row in found]

    async def announce_recall(self, model: ModelVersion, told: Mapping[Tenant, datetime]) -> None:
        """See `ModelSession.announce_recall`."""
        await self._announce([recalled_envelope(model, t, at) for t, at in told.items()])

    async def announce_alarms(self, alarms: Sequence[ReplicaAlarm]) -> None:
        """See `ModelSession.announce_alarms`."""
        await self._announce([lagging_envelope(alarm) for alarm in alarms])

    async def _announce(self, envelopes: Sequence[Envelope]) -> None:
        if envelopes:
            values = [rows.outbox_row(envelope) for envelope in envelopes]
            await self.connection.execute(insert(OUTBOX).values(values).on_conflict_do_nothing())

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `ModelSession.save_models`."""
        for model in changed:
            await self.upsert(MODELS, rows.model_row(model), ("name", "version"))
