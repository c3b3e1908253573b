"""One service's database: transactions that nest, and driver errors as the mesh's own."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, Self

from sqlalchemy import exc, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from twinmesh_sdk.adapters.postgres.migrations import migrate
from twinmesh_sdk.adapters.store_calls import count_store_call
from twinmesh_sdk.core.errors import (
    ConflictError,
    DeadlineExceededError,
    InvalidInputError,
    LimitExceededError,
    TwinError,
    UnavailableError,
)

log = logging.getLogger(__name__)

CONNECT_S: Final = 3.0
WAIT_FOR_CONNECTION_S: Final = 5.0
STATEMENT_MS: Final = 15_000
RETRY_S: Final = 0.5

_CONFLICTS: Final = {
    "23505": "it exists already",  # unique_violation
    "23P01": "it overlaps another",  # exclusion_violation
    "40001": "a concurrent change won",  # serialization_failure
    "40P01": "a concurrent change won",  # deadlock_detected
    "55P03": "another holds it",  # lock_not_available
}


class Database:
    """The database of one service. Construct it anywhere, enter it before the doors open.

    Entering waits for the server and, where `package` is given, brings the schema up to date with
    that package's Alembic migrations. `begin` opens a transaction, or joins the one around it:
    so the inbox, the state and the outbox of one event are saved together or not at all.

    Attributes:
        engine: SQLAlchemy's engine, for what `begin` does not offer.
    """

    def __init__(self, url: str, *, package: str = "", pool: int = 5) -> None:
        self._url = url
        self._package = package
        self._current: ContextVar[AsyncConnection | None] = ContextVar("connection", default=None)
        self.engine: AsyncEngine = create_async_engine(
            url,
            pool_size=pool,
            max_overflow=pool,
            pool_timeout=WAIT_FOR_CONNECTION_S,
            pool_pre_ping=True,
            connect_args={
                "timeout": CONNECT_S,
                "server_settings": {
                    "application_name": package or "twinmesh",
                    "statement_timeout": str(STATEMENT_MS),
                    "idle_in_transaction_session_timeout": str(4 * STATEMENT_MS),
                    "timezone": "UTC",
                },
            },
        )

    async def __aenter__(self) -> Self:
        """Wait for the server, then migrate."""
        while True:
            try:
                await self.check()
                break
            except UnavailableError as error:
                log.warning("database is not reachable", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
        if self._package:
            await migrate(self._url, self._package)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self.engine.dispose()

    async def check(self) -> None:
        """Pass silently when the database answers: a readiness probe.

        Raises:
            UnavailableError: It does not.
        """
        with translated("database"):
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction, or a savepoint in the one around this call.

        A connection serves one task at a time: do not gather over it.

        Raises:
            ConflictError: A concurrent change won; safe to repeat.
            UnavailableError: The database does not answer.
            TwinError: What else the driver raised, see `translated`.
        """
        outer = self._current.get()
        if outer is None:
            count_store_call("postgres")
        with translated("database"):
            if outer is not None:
                async with outer.begin_nested():
                    yield outer
                return
            async with self.engine.begin() as connection:
                mark = self._current.set(connection)
                try:
                    yield connection
                finally:
                    self._current.reset(mark)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection to read with: the transaction around this call, or a fresh one.

        Raises:
            UnavailableError: The database does not answer.
        """
        outer = self._current.get()
        with translated("database"):
            if outer is not None:
                yield outer
                return
            count_store_call("postgres")
            async with self.engine.connect() as connection:
                yield connection


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise what SQLAlchemy and asyncpg raise inside as the mesh's own errors.

    Raises:
        ConflictError: Unique or exclusion violation, serialisation failure, deadlock.
        InvalidInputError: A value that the database cannot hold, or a broken check.
        DeadlineExceededError: The statement took too long.
        LimitExceededError: No connection became free.
        UnavailableError: The database does not answer.
    """
    try:
        yield
    except TwinError:
        raise
    except exc.TimeoutError as error:
        raise LimitExceededError(f"{what}: no connection became free") from error
    except exc.DBAPIError as error:
        raise _of_driver(what, error) from error
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise UnavailableError(f"{what} does not answer in time") from error
        raise UnavailableError(f"{what} does not answer") from error


def _of_driver(what: str, error: exc.DBAPIError) -> Exception:
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state in _CONFLICTS:
        return ConflictError(f"{what}: {_CONFLICTS[state]}")
    if state == "57014":  # query_canceled, by statement_timeout
        return DeadlineExceededError(f"{what}: the statement took too long")
    if state[:2] in {"22", "23"}:  # data exception, integrity violation
        return InvalidInputError(f"{what}: the value does not fit")
    if (
        state[:2] in {"08", "53", "57"}
        or error.connection_invalidated
        or isinstance(error, exc.InterfaceError)
        or (not state and isinstance(error, exc.OperationalError))
    ):
        return UnavailableError(f"{what} does not answer")
    return error
