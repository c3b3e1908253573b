"""The outbox in PostgreSQL, as the relay reads it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters import rows
from governance.adapters.postgres.transaction import with_deadlines
from governance.adapters.tables import OUTBOX
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.ports.outbox import OutboxEntry


class RegistryOutbox:
    """An `OutboxStore`: what sessions announce."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def pending(self, limit: int) -> Sequence[OutboxEntry]:
        """See `OutboxStore.pending`."""
        async with self._begin() as connection:
            query = select(OUTBOX).order_by(OUTBOX.c.id).limit(limit)
            found = (await connection.execute(query)).mappings().all()
        return [OutboxEntry(str(row["id"]), rows.outbox_of(dict(row))) for row in found]

    async def delete(self, keys: Sequence[str]) -> None:
        """See `OutboxStore.delete`."""
        if keys:
            async with self._begin() as connection:
                ids = [int(key) for key in keys]
                await connection.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield connection
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error
