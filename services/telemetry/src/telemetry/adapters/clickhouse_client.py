"""ClickHouse over HTTP: one client, a few threads, failures as ours."""

import asyncio
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    ClickHouseError,
    DatabaseError,
    InterfaceError,
    OperationalError,
)

from telemetry.adapters.clickhouse_schema import STATEMENTS
from twinmesh_sdk.adapters.store_calls import count_store_call
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError, UnavailableError

THREADS: Final = 4
RETRY_S: Final = 0.5
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_WORD: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
# Codes that tell of too much asked for, not of a store in trouble.
# Source: ClickHouse, src/Common/ErrorCodes.cpp, 26.9.
_LIMIT_CODES: Final = re.compile(r"\bCode: (158|159|160|241|396)\b")

T = TypeVar("T")


class ClickHouse:
    """A connection to one database. Enter it; it waits for the store and makes its tables.

    Args:
        url: http(s)://user:password@host:port/.
        database: Made when it is missing.
        timeout_s: Longest that one query may take.
    """

    def __init__(self, url: str, database: str, *, timeout_s: float = 30.0) -> None:
        if not _IDENTIFIER.fullmatch(database):
            raise InvalidInputError(f"{database[:60]!r} is no database name")
        self._parts = urlsplit(url)
        if self._parts.scheme not in {"http", "https"} or not self._parts.hostname:
            raise InvalidInputError("the address of ClickHouse must be http(s)://host:port/")
        self._database = database
        self._timeout_s = timeout_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="clickhouse")
        self._client: Client | None = None
        self.calls = 0

    async def __aenter__(self) -> Self:
        """Connect, waiting for the store as long as it takes, and make what is missing."""
        while True:
            try:
                await self.migrate()
            except UnavailableError:
                await asyncio.sleep(RETRY_S)
            else:
                return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        if self._client is not None:
            await self._in_thread(self._client.close)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def migrate(self) -> None:
        """Make the database and the tables that are missing; safe to repeat.

        Raises:
            UnavailableError: The store does not answer.
        """
        await self._run(
            lambda client: client.command(f"CREATE DATABASE IF NOT EXISTS {self._database}")
        )
        for statement in STATEMENTS:
            await self.command(statement)

    async def ping(self) -> None:
        """Pass when the store answers.

        Raises:
            UnavailableError: It does not.
        """
        await self.command("SELECT 1")

    async def command(self, sql: str) -> None:
        """Run a statement without a result."""
        await self._run(
            lambda client: client.command(sql, settings={"database": self._database}),
        )

    async def read(self, sql: str) -> pa.Table:
        """Return the result of a query, in columns."""

        def query(client: Client) -> Any:  # noqa: ANN401 - pyarrow is untyped
            return client.query_arrow(sql, settings={"database": self._database})

        return await self._run(query)

    async def insert(self, table: str, rows: pa.Table, *, token: str) -> None:
        """Insert columns; the same token within the last thousand inserts changes nothing."""
        settings = {
            "insert_deduplication_token": token,
            "max_partitions_per_insert_block": 1000,
        }
        await self._run(
            lambda client: client.insert_arrow(
                table, rows, database=self._database, settings=settings
            )
        )

    async def _run(self, call: Callable[[Client], T]) -> T:
        """Run a call of the driver in a thread, its failures translated."""
        self.calls += 1
        count_store_call("clickhouse")

        def work() -> T:
            return call(self._connected())

        try:
            async with asyncio.timeout(self._timeout_s + 5.0):
                return await self._in_thread(work)
        except (OperationalError, InterfaceError, OSError, TimeoutError) as error:
            raise UnavailableError("the reading store does not answer") from error
        except DatabaseError as error:
            if _LIMIT_CODES.search(str(error)):
                raise LimitExceededError(
                    "the reading store refuses a query of this size",
                    hint="ask for a shorter time",
                ) from error
            raise UnavailableError(f"the reading store refused: {str(error)[:300]}") from error
        except ClickHouseError as error:
            raise UnavailableError("the reading store failed") from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = clickhouse_connect.get_client(
                host=str(self._parts.hostname),
                port=self._parts.port or (8443 if self._parts.scheme == "https" else 8123),
                username=unquote(self._parts.username or "default"),
                password=unquote(self._parts.password or ""),
                interface=self._parts.scheme,
                compress=False,
                connect_timeout=3,
                send_receive_timeout=int(self._timeout_s),
                autogenerate_session_id=False,
                client_name="twinmesh-telemetry",
            )
        return self._client


def quoted(text: str) -> str:
    """Return an id as an SQL string.

    Raises:
        InvalidInputError: It holds more than letters, digits and `_.:-`; no id of ours does.
    """
    if not _WORD.fullmatch(text):
        raise InvalidInputError(f"{text[:60]!r} is no id")
    return f"'{text}'"


def moment(us: int) -> str:
    """Return UTC microseconds as an SQL expression; times the column cannot hold are clamped.

    Source: ClickHouse, DateTime64: years 1900 to 2299 at microseconds.
    """
    clamped = min(max(int(us), _FIRST_US), _LAST_US)
    return f"fromUnixTimestamp64Micro(toInt64({clamped}), 'UTC')"


_FIRST_US: Final = -2_208_988_800_000_000
_LAST_US: Final = 10_413_791_999_000_000


def column(table: pa.Table, name: str) -> Any:  # noqa: ANN401 - a numpy array of the column's type
    """Return a column of numbers as a numpy array."""
    return table.column(name).to_numpy()


def texts(table: pa.Table, name: str) -> Sequence[str]:
    """Return a column of texts."""
    values: list[str] = [
        v.decode() if isinstance(v, bytes) else v for v in table.column(name).to_pylist()
    ]
    return values
