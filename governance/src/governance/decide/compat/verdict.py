"""What a profile says: changes, each with the rule, the place and whom it breaks."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """In which direction, and against how many earlier schemas, compatibility is asked."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"  # who has the new schema reads what was written with the old one
    FORWARD = "FORWARD"  # who has the old schema reads what is written with the new one
    FULL = "FULL"  # both
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        """Whether all earlier schemas count, not only the last."""
        return self.value.endswith("_TRANSITIVE")

    @property
    def backward(self) -> bool:
        """Whether new readers meet old data."""
        return self.value.startswith(("BACKWARD", "FULL"))

    @property
    def forward(self) -> bool:
        """Whether old readers meet new data."""
        return self.value.startswith(("FORWARD", "FULL"))


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two schemas, as one profile weighs it.

    Attributes:
        rule: Upper-case name of the rule.
        path: Where: `#/Message/1`, `Type.field`, `#/properties/a`.
        breaking: Whether the profile counts it as incompatible.
        old: What it was, where that helps.
        new: What it becomes.
        why: Whom it breaks, and how.
        witness: For JSON Schema: an instance that the old schema accepts and the new one rejects.
    """

    rule: str
    path: str
    breaking: bool
    old: str = ""
    new: str = ""
    why: str = ""
    witness: Any = None
    has_witness: bool = False


def compatible(changes: "list[Change] | tuple[Change, ...]") -> bool:
    """Tell whether no change is a breaking one."""
    return not any(change.breaking for change in changes)
