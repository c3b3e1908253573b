"""The state folder: what a mesh on this machine keeps from one start to the next."""

import importlib.metadata
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from twinmesh_local.ports import Claims, choose
from twinmesh_local.secret_files import new_secret, read_json, write_json
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError, PreconditionFailedError

FORMAT: Final = 1
ENGINES: Final = ("arcadedb", "neo4j")

PREFERRED: Final = {
    "gateway.http": 8400,
    "issuer.http": 8401,
    "nats": 8402,
    "mqtt": 8403,
    "postgres": 8404,
    "graph": 8405,
    "graph.http": 8406,
    "tsdb.http": 8407,
    "governance.http": 8410,
    "governance.grpc": 8411,
    "asset-registry.http": 8412,
    "asset-registry.grpc": 8413,
    "telemetry.http": 8414,
    "telemetry.grpc": 8415,
    "maintenance-twin.http": 8416,
    "maintenance-twin.grpc": 8417,
    "energy-twin.http": 8418,
    "energy-twin.grpc": 8419,
}
"""Ports used when they are free; otherwise any other."""


def checkout() -> Path | None:
    """Return the root of the checkout this package runs from; None when it was installed."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "requirements.lock").exists() else None


def default_folder() -> Path:
    """Return `$TWINMESH_STATE`, else `.twinmesh` in the checkout, else in the working folder."""
    if given := os.environ.get("TWINMESH_STATE"):  # noqa: TID251 - says where everything else is
        return Path(given).absolute()
    return (checkout() or Path.cwd()) / ".twinmesh"


def release() -> str:
    """Return this release's version."""
    return importlib.metadata.version("twinmesh-local")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+", maxsplit=1)[0].split("."))


@dataclass(slots=True)
class State:
    """What `state.json` and `credentials.json` hold.

    Attributes:
        id: Marks the processes of this mesh among all others.
        release: The release that wrote it last; a newer one migrates it when it starts.
        graph: The engine that the asset graph was made with.
        ports: By name, see PREFERRED; chosen once, another only where one is taken.
        twins: Folders of joined twins, by service name.
        secrets: By store and user; in a file of its own that only the owner can read.
        claims: Keep our ports from other meshes while this process lives.
    """

    folder: Path
    id: str
    graph: str
    release: str = ""
    ports: dict[str, int] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    claims: Claims = field(default_factory=Claims)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a state folder.

        Raises:
            NotFoundError: There is no mesh in it.
            PreconditionFailedError: It was made by a newer release.
        """
        try:
            stored = read_json(folder / "state.json")
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                f"{folder}/state.json cannot be read: {error}", hint="run `make clean-state`"
            ) from error
        if not stored:
            raise NotFoundError(f"no mesh in {folder}", hint="run `twinmesh up`")
        try:
            newer = stored["format"] > FORMAT or _numbers(stored["release"]) > _numbers(release())
            state = cls(
                folder=folder,
                id=stored["id"],
                graph=stored["graph"],
                release=stored["release"],
                ports=dict(stored["ports"]),
                twins=dict(stored["twins"]),
                secrets=dict(read_json(folder / "credentials.json")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(
                f"{folder}/state.json is not of this program: {error!r}",
                hint="run `make clean-state` to begin anew",
            ) from error
        if newer:
            raise PreconditionFailedError(
                f"{folder} was made by release {state.release}, which is newer than {release()}",
                hint="update the checkout, or run `make clean-state` to begin anew",
            )
        return state

    @classmethod
    def open(cls, folder: Path, *, graph: str | None) -> Self:
        """Read a state folder, or begin one.

        Args:
            folder: Made where there is none.
            graph: The engine asked for; None takes the one recorded, arcadedb at first.

        Raises:
            InvalidInputError: There is no such engine.
            PreconditionFailedError: The state was made with another engine or a newer release.
        """
        if graph is not None and graph not in ENGINES:
            raise InvalidInputError(f"GRAPH must be one of {', '.join(ENGINES)}, not {graph!r}")
        try:
            state = cls.load(folder)
        except NotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            state = cls(folder, secrets.token_hex(8), graph or ENGINES[0], release())
            state.save()
            return state
        if graph is not None and graph != state.graph:
            raise PreconditionFailedError(
                f"{folder} was made with GRAPH={state.graph}, and {graph} was asked for",
                hint=f"start with GRAPH={state.graph}, or run `make clean-state` to begin anew",
            )
        return state

    def save(self) -> None:
        """Write both files, each in one step."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "release": release(),
            "id": self.id,
            "graph": self.graph,
            "ports": self.ports,
            "twins": self.twins,
        }
        write_json(self.folder / "state.json", value)
        self._save_secrets()

    def _save_secrets(self) -> None:
        write_json(self.folder / "credentials.json", self.secrets)

    def secret(self, name: str) -> str:
        """Return a generated secret, made and kept at the first call: the next start has it too."""
        if name not in self.secrets:
            self.secrets[name] = new_secret()
            self._save_secrets()
        return self.secrets[name]

    def claim_ports(self, names: Iterable[str]) -> None:
        """Give each name a port that is free now: the one it had, the preferred one, or any."""
        wished = {name: self.ports.get(name) or PREFERRED.get(name, 0) for name in names}
        others = {port for name, port in self.ports.items() if name not in wished}
        self.ports.update(choose(wished, taken=others, claims=self.claims))

    def place(self, *parts: str) -> Path:
        """Return a path inside the folder."""
        return self.folder.joinpath(*parts)

    @property
    def tag(self) -> str:
        """What marks this mesh's processes in their environment."""
        return f"mesh-{self.id}"
