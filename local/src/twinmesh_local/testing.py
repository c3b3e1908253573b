"""Pytest fixtures: the real servers of the default stack, started when a test asks for them.

The root `conftest.py` loads this as a plugin, so tests of every member can name these fixtures:

    private to the session, started once, stopped and deleted at its end
      nats_server      NatsServer: url, user, password (no bounds inside the account), mqtt_port,
                       connect() keywords in `.options`, `enrol_device(...)`, `enrol_reader(...)`
      postgres_server  PostgresServer: `make_database()` returns the URL of a new, empty database
      arcadedb         GraphServer: uri, user, password, database; speaks Bolt
      neo4j_server     the same, real Neo4j; skipped by name where there is none
      tsdb_server      TsdbServer: url, `make_database()`; ClickHouse's HTTP interface over chDB
      clickhouse       the same, at CLICKHOUSE_URL; skipped by name where it is not set
      issuer           IssuerServer: url, `token("author")`, `mint(tenant=..., roles=..., ...)`
      mesh             Mesh: the whole stack, started by the supervisor

    new for each test
      database_url     an empty PostgreSQL database, dropped afterwards
      tsdb_database    an empty database of tsdb_server, dropped afterwards
      private_nats     a NATS server of the test's own, which it may stop or fill

A server is shared by the session's tests: use tenants of your own (`new_tenant()`), or a private
one. The servers die with pytest, however it ends. Suites over both graph engines:

    @pytest.fixture(params=["arcadedb", pytest.param("neo4j_server", marks=pytest.mark.neo4j)])
    def graph(request):
        return request.getfixturevalue(request.param)

"""

import asyncio
import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pytest

from twinmesh_local.ports import choose
from twinmesh_local.programs import Program, await_ready, signal_group, start, stop
from twinmesh_sdk.core.errors import UnavailableError

if TYPE_CHECKING:
    from twinmesh_local.mesh import Mesh

T = TypeVar("T")
WAIT_S: Final = 20.0


def new_tenant() -> str:
    """Return a tenant nobody else has."""
    return f"t-{secrets.token_hex(5)}"


def _awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` on a loop of its own, whichever loop the test has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=f"twinmesh-{name}-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass
class Server:
    """A running program; `kill` and `restart` are for tests of what outlives it."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Start it, and wait until it is ready."""
        self.restart()

    def restart(self) -> None:
        """Start it (again)."""
        log_fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self.process = start(self.program, log_fd=log_fd, tag=f"pytest-{os.getpid()}")
        finally:
            os.close(log_fd)
        try:
            await_ready(self.program, self.process)
        except UnavailableError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{self.log.read_text()[-4000:]}") from error
        except BaseException:
            self.stop()
            raise

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in peace."""
        stop(self.program, self.process)

    def discard(self) -> None:
        """End it and whatever it started; nobody wants its data any more."""
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(program: Program, folder: Path) -> Iterator[Server]:
    """Run `program` while the block runs."""
    server = Server(program, folder / f"{program.name}.log")
    try:
        yield server
    finally:
        server.discard()


# --- NATS ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NatsServer:
    """A NATS server with JetStream and MQTT; `user` may do everything inside the account."""

    store: Any
    server: Server
    user: str
    password: str

    @property
    def url(self) -> str:
        """Address, without credentials."""
        return str(self.store.url)

    @property
    def mqtt_port(self) -> int:
        """Where MQTT 3.1.1 is spoken."""
        return int(self.store.mqtt_port)

    @property
    def options(self) -> dict[str, Any]:
        """Keywords for `nats.connect`."""
        return {"servers": self.url, "user": self.user, "password": self.password}

    def enrol_device(self, *, tenant: str, source: str) -> tuple[str, str]:
        """Return user and password of a source's devices."""
        user = self.store.enrol_device(tenant=tenant, source=source)
        return user.name, user.password

    def enrol_reader(self, *, tenant: str) -> tuple[str, str]:
        """Return user and password of an event reader; it needs `inbox_prefix=_INBOX_<user>`."""
        user = self.store.enrol_reader(tenant=tenant)
        return user.name, user.password


@contextmanager
def run_nats() -> Iterator[NatsServer]:
    """Run a NATS server while the block runs."""
    from twinmesh_local.stores import nats_users  # noqa: PLC0415 - loaded when asked for
    from twinmesh_local.stores.nats import NatsStore  # noqa: PLC0415

    with _folder("nats") as folder:
        ports = choose({"nats": 0, "mqtt": 0})
        store = NatsStore(folder / "nats", port=ports["nats"], mqtt_port=ports["mqtt"])
        password = secrets.token_hex(12)
        store.prepare([nats_users.everything("test", password)])
        with running(store.program(), folder) as server:
            yield NatsServer(store, server, "test", password)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A NATS server for the session."""
    with run_nats() as server:
        yield server


@pytest.fixture
def private_nats() -> Iterator[NatsServer]:
    """A NATS server for one test."""
    with run_nats() as server:
        yield server


# --- PostgreSQL ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL 16 cluster."""

    store: Any
    server: Server

    def make_database(self) -> str:
        """Return the asyncpg URL of a new database with an owner of the same name."""
        name = f"db_{secrets.token_hex(5)}"
        password = secrets.token_hex(12)
        _awaited(self.store.ensure({name: password}))
        return str(self.store.url(name, password))

    def drop_database(self, url: str) -> None:
        """Forget a database made here."""
        _awaited(self.store.drop(url.rsplit("/", 1)[1]))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL cluster for the session."""
    from twinmesh_local.stores.postgres import PostgresStore  # noqa: PLC0415

    with _folder("postgres") as folder:
        store = PostgresStore(
            folder / "postgres", port=choose({"pg": 0})["pg"], password=secrets.token_hex(12)
        )
        store.prepare()
        with running(store.program(), folder) as server:
            yield PostgresServer(store, server)


@pytest.fixture
def database_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The asyncpg URL of an empty database."""
    url = postgres_server.make_database()
    yield url
    postgres_server.drop_database(url)


# --- graph ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GraphServer:
    """A server that speaks Bolt and Cypher.

    Attributes:
        engine: arcadedb or neo4j.
        server: None when it was found at an address.
    """

    engine: str
    uri: str
    user: str
    password: str
    database: str
    server: Server | None = None

    @property
    def auth(self) -> tuple[str, str]:
        """For the neo4j driver."""
        return self.user, self.password


@pytest.fixture(scope="session")
def arcadedb() -> Iterator[GraphServer]:
    """An ArcadeDB server for the session."""
    from twinmesh_local.stores import graph  # noqa: PLC0415

    with _folder("graph") as folder:
        ports = choose({"bolt": 0, "http": 0})
        store = graph.ArcadeStore(
            folder / "graph",
            port=ports["bolt"],
            http_port=ports["http"],
            password=secrets.token_hex(12),
        )
        store.prepare()
        with running(store.program(), folder) as server:
            yield GraphServer(
                "arcadedb", store.uri, graph.USER, store.password, graph.DATABASE, server
            )


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[GraphServer]:
    """A real Neo4j: at NEO4J_URI, or started from its Maven artefacts."""
    from twinmesh_local.stores import neo4j  # noqa: PLC0415

    if (at := neo4j.given()) is not None:
        yield GraphServer("neo4j", at.uri, at.user, at.password, at.database)
        return
    if not neo4j.can_start():
        pytest.skip(neo4j.HOW_TO_GET)
    with _folder("neo4j") as folder:
        store = neo4j.Neo4jStore(
            folder / "neo4j", port=choose({"bolt": 0})["bolt"], password=secrets.token_hex(12)
        )
        store.prepare()
        with running(store.program(), folder) as server:
            yield GraphServer(
                "neo4j", store.uri, neo4j.USER, store.password, neo4j.DATABASE, server
            )


# --- time series ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class TsdbServer:
    """A server with ClickHouse's HTTP interface.

    Attributes:
        url: With user and password.
        server: None when it was found at an address.
    """

    url: str
    server: Server | None = None

    def command(self, sql: str) -> str:
        """Run one statement by POST, as any HTTP client would."""
        parts = urllib.parse.urlsplit(self.url)
        pair = f"{parts.username}:{parts.password}".encode()
        request = urllib.request.Request(  # noqa: S310 - our own http address
            f"{parts.scheme}://{parts.hostname}:{parts.port}/",
            data=sql.encode(),
            headers={"Authorization": "Basic " + base64.b64encode(pair).decode()},
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:  # noqa: S310
            return str(answer.read().decode())

    def make_database(self) -> str:
        """Return the name of a new, empty database."""
        name = f"db_{secrets.token_hex(5)}"
        self.command(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Forget a database made here."""
        self.command(f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def tsdb_server() -> Iterator[TsdbServer]:
    """ClickHouse's HTTP interface over chDB, for the session."""
    from twinmesh_local.stores.tsdb import TsdbStore  # noqa: PLC0415

    with _folder("tsdb") as folder:
        store = TsdbStore(
            folder / "tsdb", port=choose({"http": 0})["http"], password=secrets.token_hex(12)
        )
        with running(store.program(), folder) as server:
            yield TsdbServer(store.url, server)


@pytest.fixture(scope="session")
def clickhouse() -> TsdbServer:
    """A real ClickHouse at CLICKHOUSE_URL."""
    url = os.environ.get("CLICKHOUSE_URL")  # noqa: TID251 - given by who runs the tests
    if not url:
        pytest.skip("needs a real ClickHouse: set CLICKHOUSE_URL=http://user:password@host:8123/")
    return TsdbServer(url)


@pytest.fixture
def tsdb_database(tsdb_server: TsdbServer) -> Iterator[str]:
    """The name of an empty database of `tsdb_server`."""
    name = tsdb_server.make_database()
    yield name
    tsdb_server.drop_database(name)


# --- issuer --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IssuerServer:
    """The development issuer, with its demo identities and one client per service.

    Attributes:
        secrets: By client id: author, reviewer, planner, erp-app, outsider, plant, svc-<service>...
    """

    url: str
    token_url: str
    folder: Path
    secrets: dict[str, str]
    server: Server

    def token(self, client_id: str) -> str:
        """Return a client's access token, by client credentials."""
        form = urllib.parse.urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": self.secrets[client_id],
            }
        )
        with urllib.request.urlopen(self.token_url, form.encode(), WAIT_S) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])

    def mint(
        self,
        *,
        tenant: str,
        roles: Sequence[str] = ("read",),
        client_id: str = "test",
        audience: str = "twinmesh",
        issuer: str | None = None,
        lifetime_s: float = 600,
    ) -> str:
        """Return a token signed with the issuer's key that says whatever a test needs."""
        from twinmesh_local.issuer_server.tokens import load_key, mint  # noqa: PLC0415

        return mint(
            load_key(self.folder / "key.pem"),
            issuer=issuer or self.url,
            client_id=client_id,
            tenant=tenant,
            roles=roles,
            audience=audience,
            lifetime_s=lifetime_s,
        )


@pytest.fixture(scope="session")
def issuer() -> Iterator[IssuerServer]:
    """The development issuer for the session."""
    from twinmesh_local.catalogue import SERVICES  # noqa: PLC0415
    from twinmesh_local.issuer_server import clients  # noqa: PLC0415
    from twinmesh_local.stores.issuer import IssuerStore  # noqa: PLC0415

    with _folder("issuer") as folder:
        store = IssuerStore(folder / "issuer", port=choose({"http": 0})["http"])
        services = [clients.service_identity(service.name) for service in SERVICES]
        known = {i: secrets.token_hex(12) for i in (*clients.DEMO, *clients.FURTHER, *services)}
        store.prepare(known)
        with running(store.program(), folder) as server:
            by_name = {identity.client_id: secret for identity, secret in known.items()}
            yield IssuerServer(store.url, store.token_url, store.folder, by_name, server)


# --- everything ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def mesh() -> Iterator["Mesh"]:
    """The whole stack under its supervisor, without a plant; see `twinmesh_local.mesh.Mesh`.

    `TWINMESH_TEST_GRAPH=neo4j` starts it on Neo4j.
    """
    from twinmesh_local.mesh import Mesh  # noqa: PLC0415

    graph = os.environ.get("TWINMESH_TEST_GRAPH")  # noqa: TID251 - given by who runs the tests
    with _folder("mesh") as folder:
        started = Mesh(folder / "state")
        try:
            started.start(graph=graph or None, bound=True)
            started.await_up()
            yield started
        finally:
            started.kill()
