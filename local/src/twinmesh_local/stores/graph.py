"""The asset graph: ArcadeDB speaking Bolt, a process of its own with the JRE of its wheel."""

import importlib.util
from pathlib import Path
from typing import Final

from twinmesh_local.probes import http_ok, tcp_open
from twinmesh_local.programs import Program
from twinmesh_local.secret_files import write_secret
from twinmesh_sdk.core.errors import UnavailableError

USER: Final = "root"
DATABASE: Final = "twinmesh"
HEAP: Final = "512m"


def wheel() -> Path:
    """Return the folder of the wheel, without importing it (that would start a JVM in here).

    Raises:
        UnavailableError: It is not installed.
    """
    found = importlib.util.find_spec("arcadedb_embedded")
    if found is None or not found.submodule_search_locations:
        raise UnavailableError("arcadedb-embedded is missing", hint="run `make venv`")
    return Path(found.submodule_search_locations[0])


class ArcadeStore:
    """A server in a folder of its own, on loopback only.

    Attributes:
        port: Bolt.
        http_port: Its HTTP interface, which needs the password too; we ask it whether it is ready.
    """

    def __init__(self, folder: Path, *, port: int, http_port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.http_port = http_port
        self.password = password

    @property
    def uri(self) -> str:
        """Address for the neo4j driver."""
        return f"bolt://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the options to a file of the owner's: the process list shows arguments to all."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = {
            "server.rootPath": self.folder,
            "server.rootPassword": self.password,
            "server.httpIncomingHost": "127.0.0.1",
            "server.httpIncomingPort": self.http_port,
            "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt.host": "127.0.0.1",
            "bolt.port": self.port,
            "server.defaultDatabases": f"{DATABASE}[{USER}]",
        }
        lines = [
            f"-Xmx{HEAP}",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",  # half the CPU of a start; our graphs are small
            "-XX:+ExitOnOutOfMemoryError",
            "--add-modules=jdk.incubator.vector",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
            f'-cp "{wheel()}/jars/*"',
            *(f'"-Darcadedb.{name}={value}"' for name, value in options.items()),
            "com.arcadedb.server.ArcadeDBServer",
        ]
        write_secret(self.folder / "java.options", "\n".join(lines) + "\n")

    def program(self) -> Program:
        """Return how it is started; `prepare` comes first."""

        def ready() -> None:
            tcp_open(self.port)
            http_ok(self.http_port, "/api/v1/ready", status=204)

        return Program(
            name="graph",
            argv=(str(wheel() / "jre/bin/java"), f"@{self.folder / 'java.options'}"),
            cwd=self.folder,
            ready=ready,
            ready_s=90.0,
        )
