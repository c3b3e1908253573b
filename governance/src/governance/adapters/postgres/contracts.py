"""Contracts in PostgreSQL."""

from collections.abc import Sequence

from sqlalchemy import desc, select

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import CONTRACTS, SUPERGRAPHS
from governance.model.contracts import Contract, Mesh, Supergraph


class PostgresContracts(Transaction):
    """See `ContractSession`."""

    async def mesh(self) -> Mesh:
        """See `ContractSession.mesh`."""
        contracts = (await self.connection.execute(select(CONTRACTS))).mappings().all()
        latest = select(SUPERGRAPHS).order_by(desc(SUPERGRAPHS.c.sequence)).limit(1)
        supergraph = (await self.connection.execute(latest)).mappings().first()
        return Mesh(
            contracts=tuple(rows.contract_of(dict(row)) for row in contracts),
            supergraph=rows.supergraph_of(dict(supergraph)) if supergraph else None,
        )

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """See `ContractSession.save_contracts`."""
        for contract in changed:
            await self.upsert(CONTRACTS, rows.contract_row(contract), ("service", "version"))

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """See `ContractSession.save_supergraph`."""
        if supergraph is None:
            return
        sequence = await self.next(SUPERGRAPHS)
        values = {"sequence": sequence, **rows.supergraph_row(supergraph)}
        await self.connection.execute(SUPERGRAPHS.insert().values(values))
