"""The development issuer, as a process of its own."""

import sys
from collections.abc import Mapping
from pathlib import Path

from twinmesh_local.issuer_server.clients import Identity, save_clients
from twinmesh_local.probes import http_ok
from twinmesh_local.programs import Program


class IssuerStore:
    """The issuer's folder: its key, and the clients it knows."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self.folder = folder
        self.port = port

    @property
    def url(self) -> str:
        """The issuer, as tokens name it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_url(self) -> str:
        """Where client credentials become tokens."""
        return f"{self.url}/token"

    def prepare(self, identities: Mapping[Identity, str]) -> None:
        """Write the clients with their secrets; a running issuer takes them up at once."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        save_clients(self.folder / "clients.json", identities)

    def program(self) -> Program:
        """Return how it is started; `prepare` comes first."""
        return Program(
            name="issuer",
            argv=(sys.executable, "-m", "twinmesh_local.issuer_server"),
            cwd=self.folder,
            env={"ISSUER_FOLDER": str(self.folder), "ISSUER_PORT": str(self.port)},
            ready=lambda: http_ok(self.port, "/healthz/live"),
            ready_s=30.0,
        )
