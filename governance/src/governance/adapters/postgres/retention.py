"""Retention policies in PostgreSQL."""

from sqlalchemy import select

from governance.adapters.postgres.transaction import Transaction
from governance.adapters.rows.row import utc
from governance.adapters.tables.retention import RETENTIONS
from governance.model.retention import DataClass, Retention


class PostgresRetention(Transaction):
    """See `RetentionSession`."""

    async def retentions(self) -> list[Retention]:
        """See `RetentionSession.retentions`."""
        query = select(RETENTIONS).order_by(RETENTIONS.c.data_class)
        return [
            Retention(
                DataClass(row["data_class"]),
                row["keep_days"],
                row["reason"],
                row["set_by"],
                utc(row["set_at"]),
            )
            for row in (await self.connection.execute(query)).mappings()
        ]

    async def save_retention(self, changed: Retention) -> None:
        """See `RetentionSession.save_retention`."""
        values: dict[str, object] = {
            "data_class": changed.data_class.value,
            "keep_days": changed.keep_days,
            "reason": changed.reason,
            "set_by": changed.set_by,
            "set_at": changed.set_at,
        }
        await self.upsert(RETENTIONS, values, ("data_class",))
