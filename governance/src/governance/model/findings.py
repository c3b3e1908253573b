"""What a rule found, how much it weighs, and whom it concerns."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """What a finding does to a registration."""

    ERROR = "ERROR"  # refuses it
    PENDING = "PENDING"  # postpones it until somebody else registers
    WARNING = "WARNING"  # to know, no more


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who would notice a change, and how that is known.

    Attributes:
        name: The service, or the client id.
        team: Who owns it; empty where nobody has said.
        contact: Where to reach the team.
        parts: What it uses of what would change: fields, values, methods, event types.
        last_at: Wall time of the last use seen; None when it is only declared.
        count: How often it was seen.
    """

    name: str
    team: str = ""
    contact: str = ""
    parts: tuple[str, ...] = ()
    last_at: datetime | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that one rule found.

    Attributes:
        code: Upper-case name of the rule.
        subject: A service, type, field, message, event type or charter path.
        hint: What the owner can do.
        service: The service whose contract is concerned, or which would break.
        consumers: Who uses what would change.
        looked_since: How far back uses were looked at; None where uses do not matter.
        told: The consumers in words, for whoever pushes or deploys.
    """

    code: str
    subject: str
    message: str
    hint: str = ""
    service: str = ""
    severity: Severity = Severity.ERROR
    consumers: tuple[Consumer, ...] = field(default=())
    looked_since: datetime | None = None
    told: str = ""

    @property
    def words(self) -> str:
        """The whole message, with the consumers."""
        return f"{self.message}; {self.told}" if self.told else self.message

    def kept(self) -> Self:
        """Return what is kept for every reader: whose clients use what is not theirs to know."""
        return replace(self, consumers=(), told="")

    def warned(self) -> Self:
        """Return this finding as something to know, no more."""
        return replace(self, severity=Severity.WARNING)


def refuses(findings: "list[Finding] | tuple[Finding, ...]") -> bool:
    """Tell whether any finding refuses the registration."""
    return any(f.severity is Severity.ERROR for f in findings)


def postpones(findings: "list[Finding] | tuple[Finding, ...]") -> bool:
    """Tell whether any finding postpones the registration."""
    return any(f.severity is Severity.PENDING for f in findings)
