"""The inbox in PostgreSQL: which events were handled, in the transaction of what they changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from twinmesh_sdk.adapters.postgres.database import Database
from twinmesh_sdk.adapters.postgres.tables import mesh_tables

KEPT: Final = timedelta(days=45)
"""Longer than the stream keeps events, so a repetition is always recognised."""

FORGET_AT_ONCE: Final = 5_000


class PostgresInbox:
    """An `Inbox`. What the handler saves by `Database.begin` joins its transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = mesh_tables(sa.MetaData()).inbox

    @asynccontextmanager
    async def once(self, source: str, event_id: str) -> AsyncIterator[bool]:
        """See `Inbox.once`."""
        mark = insert(self._table).values(source=source, event_id=event_id)
        async with self._database.begin() as connection:
            result = await connection.execute(mark.on_conflict_do_nothing())
            yield result.rowcount == 1

    async def forget_old(self) -> int:
        """See `Inbox.forget_old`: marks older than KEPT."""
        table = self._table
        old = (
            sa.select(table.c.source, table.c.event_id)
            .where(table.c.handled_at < sa.func.now() - KEPT)
            .limit(FORGET_AT_ONCE)
        )
        query = sa.delete(table).where(sa.tuple_(table.c.source, table.c.event_id).in_(old))
        async with self._database.begin() as connection:
            return int((await connection.execute(query)).rowcount)
