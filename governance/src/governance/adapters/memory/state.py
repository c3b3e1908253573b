"""What is held in memory."""

from dataclasses import dataclass, field

from governance.model.audit import AuditEntry
from governance.model.contracts import Contract, Supergraph
from governance.model.releases import ModelVersion


@dataclass
class State:
    """All of it; a transaction works on a copy."""

    contracts: dict[tuple[str, str], Contract] = field(default_factory=dict)
    supergraph: Supergraph | None = None
    models: dict[tuple[str, str], ModelVersion] = field(default_factory=dict)
    audit: list[AuditEntry] = field(default_factory=list)

    def copy(self) -> "State":
        """Return a copy that may be changed."""
        return State(dict(self.contracts), self.supergraph, dict(self.models), list(self.audit))


class Part:
    """A transaction on a state."""

    def __init__(self, state: State) -> None:
        self.state = state
