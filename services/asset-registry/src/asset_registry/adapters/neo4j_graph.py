"""The Bolt driver, its retries, and its errors in our words. Works on Neo4j 5 and on ArcadeDB."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, LiteralString, Self, TypeVar

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncManagedTransaction,
)
from neo4j.exceptions import (
    AuthError,
    ConstraintError,
    DatabaseUnavailable,
    DriverError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from twinmesh_sdk.adapters.store_calls import count_store_call
from twinmesh_sdk.core.errors import ConflictError, DeadlineExceededError, UnavailableError
from twinmesh_sdk.core.request import current_deadline

T = TypeVar("T")
Rows = Sequence[Mapping[str, Any]]

MAX_CONSTRAINT_RETRIES: Final = 8
RETRY_PAUSE_S: Final = 0.02
RETRY_JITTER_RATIO: Final = 0.5
LIVENESS_S: Final = 30.0
CONNECT_S: Final = 5.0


class Graph:
    """Runs transactions, repeated where the engine says that repeating helps.

    ArcadeDB reports two concurrent `MERGE`s of one key as a `ConstraintError`, where Neo4j makes
    one wait: such a transaction is repeated here. Write conflicts are `TransientError`s on both;
    the driver repeats those.

    Opened and closed by `async with`.

    Args:
        timeout_s: Deadline of a transaction, its repeats included, in seconds; the request's own
            deadline applies where it is sooner.
        connect_s: How long a connection may take to open, or to become free, in seconds.
        pool_size: Most connections kept.
    """

    def __init__(
        self,
        uri: str,
        user: str,
        password: str,
        database: str,
        *,
        timeout_s: float,
        connect_s: float = CONNECT_S,
        pool_size: int = 50,
    ) -> None:
        self._uri = uri
        self._auth = (user, password)
        self._database = database
        self._timeout_s = timeout_s
        self._connect_s = connect_s
        self._pool_size = pool_size
        self._opened: AsyncDriver | None = None

    async def __aenter__(self) -> Self:
        """Make the driver; it connects when it is first used."""
        self._opened = AsyncGraphDatabase.driver(
            self._uri,
            auth=self._auth,
            max_connection_pool_size=self._pool_size,
            connection_timeout=self._connect_s,
            connection_acquisition_timeout=self._connect_s,
            max_transaction_retry_time=self._timeout_s,
            initial_retry_delay=RETRY_PAUSE_S,
            retry_delay_jitter_factor=RETRY_JITTER_RATIO,
            liveness_check_timeout=LIVENESS_S,
            notifications_min_severity="OFF",
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        driver, self._opened = self._driver, None
        await driver.close()

    @property
    def _driver(self) -> AsyncDriver:
        if self._opened is None:
            raise UnavailableError("the asset graph is not open")
        return self._opened

    async def read(self, query: LiteralString, **parameters: Any) -> Rows:  # noqa: ANN401 - Bolt values
        """Run one query and return its rows."""

        async def work(transaction: AsyncManagedTransaction) -> Rows:
            return await rows_of(transaction, query, **parameters)

        return await self._run(work, access=READ_ACCESS)

    async def read_together(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """Run several reads in one transaction."""
        return await self._run(work, access=READ_ACCESS)

    async def write(self, work: Callable[[AsyncManagedTransaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction; it may run more than once.

        Raises:
            ConflictError: Other writes won every time.
            DeadlineExceededError: It took longer than the deadline.
            UnavailableError: The graph did not answer.
        """
        return await self._run(work, access=WRITE_ACCESS)

    async def ping(self) -> None:
        """Return when the graph answers.

        Raises:
            UnavailableError: It does not.
        """
        await self.read("RETURN 1 AS one")

    async def statement(self, query: LiteralString) -> None:
        """Run one schema statement, which no transaction may share."""

        async def run() -> None:
            async with self._driver.session(database=self._database) as session:
                result = await session.run(query)
                await result.consume()

        await self._bounded(run)

    async def _run(
        self, work: Callable[[AsyncManagedTransaction], Awaitable[T]], *, access: str
    ) -> T:
        count_store_call("graph")

        async def run() -> T:
            async with self._driver.session(
                database=self._database,
                bookmark_manager=self._driver.execute_query_bookmark_manager,
            ) as session:
                if access == READ_ACCESS:
                    return await session.execute_read(work)
                return await session.execute_write(work)

        return await self._bounded(run)

    async def _bounded(self, run: Callable[[], Awaitable[T]]) -> T:
        deadline = current_deadline()
        seconds = self._timeout_s
        if deadline is not None:
            seconds = min(seconds, deadline.remaining_s)
        try:
            async with asyncio.timeout(seconds):
                return await _repeated(run)
        except TimeoutError as error:
            raise DeadlineExceededError("the asset graph took too long") from error
        except (TransientError, ConstraintError) as error:
            raise ConflictError("concurrent writes about the same asset won") from error
        except (ServiceUnavailable, SessionExpired, DatabaseUnavailable) as error:
            raise UnavailableError("the asset graph does not answer") from error
        except AuthError as error:
            raise UnavailableError("the asset graph refuses our credentials") from error
        except DriverError as error:
            raise UnavailableError("the connection to the asset graph failed") from error


async def _repeated(run: Callable[[], Awaitable[T]]) -> T:
    for attempt in range(MAX_CONSTRAINT_RETRIES):
        try:
            return await run()
        except ConstraintError:
            await asyncio.sleep(RETRY_PAUSE_S * (attempt + 1))
    return await run()


async def rows_of(
    transaction: AsyncManagedTransaction,
    query: LiteralString,
    **parameters: Any,  # noqa: ANN401 - Bolt values
) -> Rows:
    """Run a query and return its rows; nodes as their properties."""
    result = await transaction.run(query, **parameters)
    return await result.data()


_SCHEMA: Final[Sequence[LiteralString]] = (
    "CREATE CONSTRAINT anchor_key IF NOT EXISTS FOR (n:Anchor) REQUIRE n.key IS UNIQUE",
    "CREATE CONSTRAINT outbox_id IF NOT EXISTS FOR (n:Outbox) REQUIRE n.id IS UNIQUE",
    "CREATE CONSTRAINT asset_version IF NOT EXISTS "
    "FOR (n:AssetVersion) REQUIRE n.version_id IS UNIQUE",
    "CREATE CONSTRAINT alias_version IF NOT EXISTS "
    "FOR (n:AliasAssignment) REQUIRE n.version_id IS UNIQUE",
    "CREATE CONSTRAINT relation_version IF NOT EXISTS "
    "FOR (n:Relation) REQUIRE n.version_id IS UNIQUE",
    "CREATE CONSTRAINT configuration_version IF NOT EXISTS "
    "FOR (n:Configuration) REQUIRE n.version_id IS UNIQUE",
    "CREATE CONSTRAINT signal_version IF NOT EXISTS FOR (n:Signal) REQUIRE n.version_id IS UNIQUE",
    "CREATE INDEX asset_owner IF NOT EXISTS FOR (n:AssetVersion) ON (n.owner)",
    "CREATE INDEX asset_tenant IF NOT EXISTS FOR (n:AssetVersion) ON (n.tenant)",
    "CREATE INDEX alias_owner IF NOT EXISTS FOR (n:AliasAssignment) ON (n.owner)",
    "CREATE INDEX alias_asset IF NOT EXISTS FOR (n:AliasAssignment) ON (n.asset_id)",
    "CREATE INDEX relation_owner IF NOT EXISTS FOR (n:Relation) ON (n.owner)",
    "CREATE INDEX relation_target IF NOT EXISTS FOR (n:Relation) ON (n.to_asset_id)",
    "CREATE INDEX configuration_owner IF NOT EXISTS FOR (n:Configuration) ON (n.owner)",
    "CREATE INDEX signal_owner IF NOT EXISTS FOR (n:Signal) ON (n.owner)",
    "CREATE INDEX signal_tenant IF NOT EXISTS FOR (n:Signal) ON (n.tenant)",
    "CREATE INDEX signal_id IF NOT EXISTS FOR (n:Signal) ON (n.signal_id)",
    "CREATE INDEX signal_address IF NOT EXISTS FOR (n:Signal) ON (n.address_key)",
    "CREATE INDEX signal_source IF NOT EXISTS FOR (n:Signal) ON (n.source)",
    "CREATE INDEX outbox_recorded IF NOT EXISTS FOR (n:Outbox) ON (n.recorded_us)",
)


async def migrate(graph: Graph) -> None:
    """Create constraints and indexes that are not there yet. Safe to repeat, and side by side."""
    for query in _SCHEMA:
        await graph.statement(query)
