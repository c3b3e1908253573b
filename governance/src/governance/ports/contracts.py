"""What governance needs for contracts."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from governance.decide.composition import Composed
from governance.model.contracts import Bundle, Contract, Mesh, Supergraph


class ContractSession(Protocol):
    """Contracts in a transaction."""

    async def mesh(self) -> Mesh:
        """Return all registered contracts and the supergraph in force."""
        ...

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """Insert or update these versions."""
        ...

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """Put this supergraph in force; the earlier ones are kept."""
        ...


class Composer(Protocol):
    """Composes subgraphs to a supergraph."""

    def compose(self, members: Mapping[str, Bundle]) -> Composed:
        """Return the supergraph of these bundles, or why there is none."""
        ...
