"""What was asked of governance, by whom, and what became of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the append-only log.

    Attributes:
        sequence: Gap-free, from 1; 0 before the store assigned it.
        recorded_at: Wall time.
        outcome: ACCEPTED, UNCHANGED, PENDING or REFUSED.
    """

    recorded_at: datetime
    actor: str
    tenant: str
    action: str
    subject: str
    outcome: str
    detail: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0
