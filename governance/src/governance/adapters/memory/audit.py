"""The audit log in memory."""

from dataclasses import replace

from governance.adapters.memory.state import Part
from governance.model.audit import AuditEntry


class MemoryAudit(Part):
    """See `AuditSession`."""

    async def record(self, entry: AuditEntry) -> None:
        """See `AuditSession.record`."""
        self.state.audit.append(replace(entry, sequence=len(self.state.audit) + 1))
