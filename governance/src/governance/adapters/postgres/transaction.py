"""One transaction, and what every part of it needs."""

from typing import Final

from sqlalchemy import Table, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

LOCK_TIMEOUT_MS: Final = 20_000
STATEMENT_TIMEOUT_MS: Final = 30_000


class Transaction:
    """A connection inside a transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def next(self, table: Table) -> int:
        """Return the next number without a gap: the writer lock is held until commit."""
        query = select(func.coalesce(func.max(table.c.sequence), 0))
        return int((await self.connection.execute(query)).scalar_one()) + 1

    async def upsert(self, table: Table, values: dict[str, object], key: tuple[str, ...]) -> None:
        """Insert a row, or update the one with this key."""
        statement = insert(table).values(values)
        changed = {name: statement.excluded[name] for name in values if name not in key}
        await self.connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=changed)
        )


async def with_deadlines(connection: AsyncConnection) -> None:
    """Give every statement of the transaction a deadline."""
    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    await connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))
