"""The audit log in PostgreSQL."""

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import AUDIT
from governance.model.audit import AuditEntry


class PostgresAudit(Transaction):
    """See `AuditSession`."""

    async def record(self, entry: AuditEntry) -> None:
        """See `AuditSession.record`."""
        sequence = await self.next(AUDIT)
        await self.connection.execute(AUDIT.insert().values(rows.audit_row(entry, sequence)))
