"""The time-series store: ClickHouse's HTTP interface over chDB, as a process of its own."""

import sys
from pathlib import Path
from typing import Final

from twinmesh_local.probes import http_ok
from twinmesh_local.programs import Program

USER: Final = "twinmesh"
DATABASE: Final = "twinmesh"


class TsdbStore:
    """A server in a folder of its own, on loopback only."""

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password

    @property
    def url(self) -> str:
        """Address for clickhouse-connect, with credentials."""
        return f"http://{USER}:{self.password}@127.0.0.1:{self.port}/"

    def program(self) -> Program:
        """Return how it is started."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Program(
            name="tsdb",
            argv=(sys.executable, "-m", "twinmesh_local.tsdb_server"),
            cwd=self.folder,
            env={
                "TSDB_FOLDER": str(self.folder),
                "TSDB_PORT": str(self.port),
                "TSDB_PASSWORD": self.password,
            },
            ready=lambda: http_ok(self.port, "/ping"),
            ready_s=90.0,
        )
