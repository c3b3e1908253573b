"""chDB behind a pool of threads: a connection runs one query at a time, so each has its own."""

import asyncio
import re
import tempfile
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chdb

from twinmesh_local.tsdb_server.guard import MAX_EXECUTION_S, Guard, Statement
from twinmesh_local.tsdb_server.refusal import TOO_MANY_QUERIES, Refused

THREADS: Final = 8
MAX_WAITING: Final = 128
MAX_RESULT_BYTES: Final = 268_435_456
MAX_MEMORY_BYTES: Final = 2_147_483_648
QUERY_S: Final = 30.0
HOME: Final = "twinmesh"
"""Where unqualified names live: chDB's own `default` database would read files."""

_CODE: Final = re.compile(r"Code: (\d+)\.")
_LIMITS: Final = {
    "max_execution_time": f"{QUERY_S}",
    "max_result_bytes": f"{MAX_RESULT_BYTES}",
    "max_memory_usage": f"{MAX_MEMORY_BYTES}",
    "result_overflow_mode": "throw",
    "allow_introspection_functions": "0",
    "implicit_select": "0",
    "max_threads": "2",
    "session_timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Query:
    """One request, checked.

    Attributes:
        sql: As received, an INSERT's data included.
        parameters: In ClickHouse's escaped form, by bare name.
        settings: Allow-listed, for this query only.
    """

    sql: bytes
    statement: Statement
    database: str
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    format: str


@dataclass(frozen=True, slots=True)
class Result:
    """What the engine answered."""

    data: bytes
    read_rows: int
    read_bytes: int
    written_rows: int


@dataclass(slots=True)
class EngineError(Exception):
    """The engine's own refusal, with its code."""

    code: int
    text: str


class Engine:
    """The one engine of this process.

    Args:
        folder: Its data; no other process may have it open.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._data = folder / "data"
        self._spool = folder / "spool"
        self._spool.mkdir(exist_ok=True)
        for left in self._spool.iterdir():
            left.unlink()
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(THREADS, "chdb")
        self._waiting = 0
        # Keeps the engine open while threads come and go.
        self._first = chdb.connect(str(self._data))
        self._first.query(f"CREATE DATABASE IF NOT EXISTS `{HOME}`")
        listed = self._first.query("SELECT name FROM system.table_functions", "TabSeparated")
        self.guard = Guard(listed.bytes().decode().split())

    async def run(self, query: Query) -> Result:
        """Run one query on a thread of the pool.

        Raises:
            EngineError: The engine refused it.
            Refused: Too many wait already.
        """
        if self._waiting >= MAX_WAITING:
            raise Refused(TOO_MANY_QUERIES, f"More than {MAX_WAITING} queries are waiting.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, query)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what runs, and leave the folder consistent."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._first.close()

    def _connection(self) -> Any:  # noqa: ANN401 - chdb is untyped
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = chdb.connect(str(self._data))
            for name, value in _LIMITS.items():
                connection.query(f"SET {name} = {quoted(value)}")
            self._local.connection = connection
        return connection

    def _run(self, query: Query) -> Result:
        connection = self._connection()
        try:
            connection.query(f"USE `{query.database or HOME}`")
            for name, value in query.settings.items():
                connection.query(f"SET {name} = {quoted(value)}")
            try:
                return self._execute(connection, query)
            finally:
                for name in query.settings:
                    connection.query(
                        f"SET {name} = {quoted(_LIMITS[name])}"
                        if name in _LIMITS
                        else f"SET {name} = DEFAULT"
                    )
        except RuntimeError as error:
            text = str(error)
            code = _CODE.search(text)
            raise EngineError(
                int(code[1]) if code else 1002, text[text.find("Code: ") :]
            ) from error

    def _execute(self, connection: Any, query: Query) -> Result:  # noqa: ANN401 - chdb is untyped
        statement = query.statement
        if statement.data_at is None or statement.infile_at is None:
            return _result(
                connection.query(query.sql.decode(), query.format, params=dict(query.parameters))
            )
        with tempfile.NamedTemporaryFile(dir=self._spool) as spooled:
            spooled.write(memoryview(query.sql)[statement.data_at :])
            spooled.flush()
            before = query.sql[: statement.infile_at].decode()
            after = query.sql[statement.infile_at : statement.data_at].decode()
            sql = f"{before} FROM INFILE {quoted(spooled.name)} {after}"
            return _result(connection.query(sql, "Null", params=dict(query.parameters)))


def _result(answer: Any) -> Result:  # noqa: ANN401 - chdb is untyped
    return Result(
        data=answer.bytes() if answer.size() else b"",
        read_rows=answer.storage_rows_read(),
        read_bytes=answer.storage_bytes_read(),
        written_rows=answer.rows_written(),
    )


def quoted(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


assert QUERY_S <= MAX_EXECUTION_S
