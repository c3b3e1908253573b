"""What governance needs for its audit log."""

from typing import Protocol

from governance.model.audit import AuditEntry


class AuditSession(Protocol):
    """The audit log in a transaction."""

    async def record(self, entry: AuditEntry) -> None:
        """Append to the audit log; the sequence has no gaps."""
        ...
