"""What is wrong with a composition, in the ecosystem's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One input of a composition."""

    name: str
    url: str
    sdl: str


@dataclass(frozen=True, slots=True)
class CompositionIssue:
    """One reason why subgraphs do not compose.

    Attributes:
        code: As the Apollo Federation ecosystem names it, e.g. INVALID_FIELD_SHARING.
        subgraphs: Names of those concerned.
        coordinate: Schema coordinate, e.g. `User.name`; empty where none applies.
        hint: What to do about it.
    """

    code: str
    message: str
    subgraphs: tuple[str, ...] = ()
    coordinate: str = ""
    hint: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the issue as plain data."""
        return {
            "code": self.code,
            "message": self.message,
            "subgraphs": list(self.subgraphs),
            "coordinate": self.coordinate,
            "hint": self.hint,
        }
