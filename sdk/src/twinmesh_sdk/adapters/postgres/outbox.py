"""The outbox in PostgreSQL: events beside the state that they announce."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.postgres.database import Database
from twinmesh_sdk.adapters.postgres.tables import mesh_tables
from twinmesh_sdk.core.events import Envelope, EventType
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.ports.outbox import OutboxEntry


class PostgresOutbox:
    """An `OutboxStore`. `add` joins the transaction around it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = mesh_tables(sa.MetaData()).outbox

    async def add(self, envelopes: Iterable[Envelope]) -> None:
        """Save events; one with an id that waits already is saved once.

        Call it inside the `Database.begin` that saves the state.

        Raises:
            UnavailableError: The database does not answer.
        """
        rows = [_row(envelope) for envelope in envelopes]
        if not rows:
            return
        async with self._database.begin() as connection:
            await connection.execute(insert(self._table).on_conflict_do_nothing(), rows)

    async def pending(self, limit: int) -> Sequence[OutboxEntry]:
        """See `OutboxStore.pending`."""
        query = sa.select(self._table).order_by(self._table.c.id).limit(limit)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [OutboxEntry(str(row["id"]), _envelope(row)) for row in rows]

    async def delete(self, keys: Sequence[str]) -> None:
        """See `OutboxStore.delete`."""
        if not keys:
            return
        ids = [int(key) for key in keys]
        async with self._database.begin() as connection:
            await connection.execute(sa.delete(self._table).where(self._table.c.id.in_(ids)))


def _row(envelope: Envelope) -> dict[str, Any]:
    return {
        "event_id": envelope.id,
        "type": envelope.type,
        "source": envelope.source,
        "tenant": str(envelope.tenant),
        "subject": envelope.subject,
        "time_us": to_us(envelope.time),
        "data": envelope.data,
        "traceparent": envelope.traceparent or tracing.traceparent(),
    }


def _envelope(row: Any) -> Envelope:  # noqa: ANN401 - a driver's row
    return Envelope(
        id=row["event_id"],
        type=EventType(row["type"]),
        source=row["source"],
        tenant=Tenant(row["tenant"]),
        subject=row["subject"],
        time=from_us(row["time_us"]),
        data=bytes(row["data"]),
        traceparent=row["traceparent"],
    )
