"""Audit entries."""

from typing import Any

from governance.adapters.rows.row import Row, utc
from governance.model.audit import AuditEntry


def audit_row(entry: AuditEntry, sequence: int) -> dict[str, Any]:
    """Return an audit entry as columns."""
    return {
        "sequence": sequence,
        "recorded_at": entry.recorded_at,
        "actor": entry.actor,
        "tenant": entry.tenant,
        "action": entry.action,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }


def audit_of(row: Row) -> AuditEntry:
    """Return the audit entry in a row."""
    return AuditEntry(
        recorded_at=utc(row["recorded_at"]),
        actor=row["actor"],
        tenant=row["tenant"],
        action=row["action"],
        subject=row["subject"],
        outcome=row["outcome"],
        detail=dict(row["detail"]),
        sequence=row["sequence"],
    )
