"""The registry in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import Table, desc, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters import rows
from governance.adapters.tables import AUDIT, CONTRACTS, MODELS, SUPERGRAPHS
from governance.model.audit import AuditEntry
from governance.model.contracts import Contract, Mesh, Supergraph
from governance.model.releases import ModelVersion
from twinmesh_sdk.core.errors import UnavailableError

WRITER_LOCK: Final = 0x7477_6E67_6F76  # one writer at a time in all replicas; "twngov"
LOCK_TIMEOUT_MS: Final = 20_000
STATEMENT_TIMEOUT_MS: Final = 30_000


class PostgresRegistry:
    """See `Registry`. Writers take turns by an advisory lock; readers never wait for them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["PostgresSession"]:
        """See `Registry.exclusive`."""
        try:
            async with self._engine.begin() as connection:
                await _limit(connection)
                await connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
                yield PostgresSession(connection)
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """See `Registry.read`."""
        try:
            async with self._engine.connect() as connection:
                await connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                )
                await _limit(connection)
                session = PostgresSession(connection)
                return await session.mesh(), await session.models()
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    async def ping(self) -> None:
        """Pass silently while the store answers.

        Raises:
            UnavailableError: It does not.
        """
        try:
            async with self._engine.connect() as connection:
                await connection.execute(select(1))
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    async def audit(self, tenant: str, *, before: int | None, limit: int) -> list[AuditEntry]:
        """See `Registry.audit`."""
        query = select(AUDIT).where(AUDIT.c.tenant == tenant)
        if before is not None:
            query = query.where(AUDIT.c.sequence < before)
        query = query.order_by(desc(AUDIT.c.sequence)).limit(limit)
        try:
            async with self._engine.connect() as connection:
                found = (await connection.execute(query)).mappings().all()
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error
        return [rows.audit_of(dict(row)) for row in found]


class PostgresSession:
    """See `Session`: one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def mesh(self) -> Mesh:
        """See `Session.mesh`."""
        contracts = (await self._connection.execute(select(CONTRACTS))).mappings().all()
        latest = select(SUPERGRAPHS).order_by(desc(SUPERGRAPHS.c.sequence)).limit(1)
        supergraph = (await self._connection.execute(latest)).mappings().first()
        return Mesh(
            contracts=tuple(rows.contract_of(dict(row)) for row in contracts),
            supergraph=rows.supergraph_of(dict(supergraph)) if supergraph else None,
        )

    async def save_contracts(self, changed: Sequence[Contract]) -> None:
        """See `Session.save_contracts`."""
        for contract in changed:
            await self._upsert(CONTRACTS, rows.contract_row(contract), ("service", "version"))

    async def save_supergraph(self, supergraph: Supergraph | None) -> None:
        """See `Session.save_supergraph`."""
        if supergraph is None:
            return
        sequence = await self._next(SUPERGRAPHS)
        values = {"sequence": sequence, **rows.supergraph_row(supergraph)}
        await self._connection.execute(SUPERGRAPHS.insert().values(values))

    async def models(self, name: str | None = None) -> list[ModelVersion]:
        """See `Session.models`."""
        query = select(MODELS) if name is None else select(MODELS).where(MODELS.c.name == name)
        found = (await self._connection.execute(query)).mappings().all()
        return [rows.model_of(dict(row)) for row in found]

    async def save_models(self, changed: Sequence[ModelVersion]) -> None:
        """See `Session.save_models`."""
        for model in changed:
            await self._upsert(MODELS, rows.model_row(model), ("name", "version"))

    async def record(self, entry: AuditEntry) -> None:
        """See `Session.record`."""
        sequence = await self._next(AUDIT)
        await self._connection.execute(AUDIT.insert().values(rows.audit_row(entry, sequence)))

    async def _next(self, table: Table) -> int:
        """Return the next number without a gap: the writer lock is held until commit."""
        query = select(func.coalesce(func.max(table.c.sequence), 0))
        return int((await self._connection.execute(query)).scalar_one()) + 1

    async def _upsert(self, table: Table, values: dict[str, object], key: tuple[str, ...]) -> None:
        statement = insert(table).values(values)
        changed = {name: statement.excluded[name] for name in values if name not in key}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=changed)
        )


async def _limit(connection: AsyncConnection) -> None:
    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    await connection.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}"))
