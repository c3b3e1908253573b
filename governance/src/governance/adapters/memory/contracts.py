"""Contracts in memory."""

from collections.abc import Sequence

from governance.adapters.memory.state import Part
from governance.model.contracts import Contract, Mesh, Supergraph


class MemoryContracts(Part):
    """See `ContractSession`."""

    async def mesh(self) -> Mesh:
        """See `ContractSession.mesh`."""
        return Mesh(tuple(self.state.contracts.values()), self.state.supergraph)

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """See `ContractSession.save_contracts`."""
        for contract in changed:
            key = (str(contract.bundle.service), str(contract.bundle.version))
            self.state.contracts[key] = contract

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """See `ContractSession.save_supergraph`."""
        if supergraph is not None:
            self.state.supergraph = supergraph
