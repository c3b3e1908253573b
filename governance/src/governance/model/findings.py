"""What a rule found, and how much it weighs."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self


class Severity(StrEnum):
    """What a finding does to a registration."""

    ERROR = "ERROR"  # refuses it
    PENDING = "PENDING"  # postpones it until somebody else registers
    WARNING = "WARNING"  # to know, no more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that one rule found.

    Attributes:
        code: Upper-case name of the rule.
        subject: A service, type, field, message, event type or charter path.
        hint: What the owner can do.
        service: The service whose contract is concerned, or which would break.
    """

    code: str
    subject: str
    message: str
    hint: str = ""
    service: str = ""
    severity: Severity = Severity.ERROR

    def warned(self) -> Self:
        """Return this finding as something to know, no more."""
        return replace(self, severity=Severity.WARNING)


def refuses(findings: "list[Finding] | tuple[Finding, ...]") -> bool:
    """Tell whether any finding refuses the registration."""
    return any(f.severity is Severity.ERROR for f in findings)


def postpones(findings: "list[Finding] | tuple[Finding, ...]") -> bool:
    """Tell whether any finding postpones the registration."""
    return any(f.severity is Severity.PENDING for f in findings)
