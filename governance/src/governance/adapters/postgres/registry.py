"""Whoever opens transactions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from governance.adapters.postgres.audit import PostgresAudit, newest
from governance.adapters.postgres.changes import PostgresChanges
from governance.adapters.postgres.consumption import PostgresConsumption, PostgresUses
from governance.adapters.postgres.contracts import PostgresContracts
from governance.adapters.postgres.deployments import PostgresDeployments
from governance.adapters.postgres.models import PostgresModels
from governance.adapters.postgres.policies import PostgresPolicies
from governance.adapters.postgres.retention import PostgresRetention
from governance.adapters.postgres.shadows import PostgresRulings
from governance.adapters.postgres.transaction import with_deadlines
from governance.decide.audit_leaf import opened
from governance.model.audit import AuditEntry, LogName
from governance.model.contracts import Mesh
from governance.model.releases import ModelVersion
from twinmesh_sdk.core.errors import UnavailableError

WRITER_LOCK: Final = 0x7477_6E67_6F76  # one writer at a time in all replicas; "twngov"


class PostgresSession(
    PostgresContracts,
    PostgresModels,
    PostgresAudit,
    PostgresUses,
    PostgresPolicies,
    PostgresRetention,
    PostgresDeployments,
    PostgresChanges,
    PostgresRulings,
):
    """See `Session`: one transaction."""


class PostgresRegistry:
    """See `Registry`. Writers take turns by an advisory lock; readers never wait for them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator["PostgresSession"]:
        """See `Registry.exclusive`."""
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                await connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
                yield PostgresSession(connection)
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    @asynccontextmanager
    async def consumption(self) -> AsyncIterator[PostgresConsumption]:
        """See `Registry.consumption`."""
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield PostgresConsumption(connection)
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSession]:
        """See `Registry.snapshot`."""
        try:
            async with self._engine.connect() as connection:
                await connection.execute(
                    text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                )
                await with_deadlines(connection)
                yield PostgresSession(connection)
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error

    async def read(self) -> tuple[Mesh, list[ModelVersion]]:
        """See `Registry.read`."""
        async with self.snapshot() as session:
            return await session.mesh(), await session.models()

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
        try:
            async with self._engine.connect() as connection:
                await with_deadlines(connection)
                found = await newest(connection, LogName(tenant), before=before, limit=limit)
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error
        return [opened(entry) for entry in found]
