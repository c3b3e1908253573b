"""A mesh of this machine, from outside: what the command line, the demo and tests use.

mesh = Mesh(default_folder())
mesh.start(graph="arcadedb", bound=True)     # bound: it cannot outlive this process
mesh.await_up(progress=print)
mesh.gateway_url, mesh.token("erp-app"), mesh.enrol_device(tenant="acme", source="skab")
mesh.down()
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from twinmesh_local.issuer_server.clients import DEMO, FURTHER, Identity
from twinmesh_local.programs import LAUNCHER, signal_group
from twinmesh_local.state import State
from twinmesh_local.stores.nats import NatsStore
from twinmesh_local.supervisor import control, logs
from twinmesh_local.supervisor.strays import sweep
from twinmesh_sdk.core.errors import (
    BY_CODE,
    ErrorCode,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)

UP_S: Final = 360.0
DOWN_S: Final = 45.0
BEGIN_S: Final = 30.0
CALL_S: Final = 10.0
JOIN_S: Final = 400.0
MANY_RESTARTS: Final = 5
LOOPBACK: Final = "127.0.0.1"


class Mesh:
    """The mesh of one state folder, running or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._supervisor: subprocess.Popen[bytes] | None = None

    # -- starting and stopping -----------------------------------------------------------------

    def start(
        self,
        *,
        graph: str | None = None,
        plant: Mapping[str, str] | None = None,
        join: Sequence[Path] = (),
        bound: bool = False,
    ) -> None:
        """Start the supervisor; returns when it has begun, long before everything is up.

        Args:
            graph: arcadedb or neo4j; None takes what the state folder was made with.
            plant: Settings of the plant (`TWIN_PLANT_...`), and `sources`, separated by commas: the
                MQTT sources of its recordings. None runs no plant.
            join: Folders of twins that join.
            bound: It ends with this process. Call from the main thread then.

        Raises:
            TwinError: It cannot begin; the hint says what can be done.
        """
        options = {
            "graph": graph,
            "plant": None if plant is None else dict(plant),
            "join": [str(path.absolute()) for path in join],
        }
        # Others may pass through, not look: PostgreSQL runs as another account when we are root.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        log_fd = logs.open_log(self.folder / "logs", "supervisor")
        parent = str(os.getpid()) if bound else "0"
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LAUNCHER), parent, "-", "-", "--", sys.executable,
                 "-m", "twinmesh_local.supervisor", str(self.folder), json.dumps(options)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log_fd,
            )  # fmt: skip
        finally:
            os.close(log_fd)
        self._await_begin(self._supervisor)

    def _await_begin(self, supervisor: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + BEGIN_S
        while supervisor.poll() is None:
            with suppress(NotFoundError, UnavailableError):
                if self.status()["pid"] == supervisor.pid:
                    return
            if time.monotonic() > deadline:
                raise UnavailableError(
                    "the supervisor does not answer", hint="twinmesh logs supervisor"
                )
            time.sleep(0.05)
        said = supervisor.stdout.read().decode() if supervisor.stdout else ""
        with suppress(ValueError, IndexError, KeyError):
            _raise(json.loads(said.splitlines()[-1]))
        words = logs.tail(self.folder / "logs", "supervisor", 15)
        raise UnavailableError(f"the supervisor ended at once:\n{words}")

    def await_up(
        self, *, timeout_s: float = UP_S, progress: Callable[[str], None] = lambda _line: None
    ) -> dict[str, Any]:
        """Wait until every process is ready; return the status then.

        Args:
            timeout_s: Longest wait.
            progress: Given one line whenever a process becomes ready or fails.

        Raises:
            UnavailableError: It takes too long, or a process keeps failing, whose words follow.
        """
        deadline = time.monotonic() + timeout_s
        seen: dict[str, str] = {}
        while True:
            status = self.status()
            for row in status["processes"]:
                if seen.get(row["name"]) != row["state"] and row["state"] not in {
                    "WAITING",
                    "STARTING",
                }:
                    progress(_line(row))
                seen[row["name"]] = row["state"]
            if status["up"]:
                return status
            failing = [
                row
                for row in status["processes"]
                if row["restarts"] >= MANY_RESTARTS or row["state"] == "STOPPED"
            ]
            late = time.monotonic() > deadline
            if failing or late:
                waiting = [r for r in status["processes"] if r["state"] not in {"READY", "DONE"}]
                raise UnavailableError(self._explained(failing or waiting, late=late))
            time.sleep(0.1)

    def _explained(self, rows: Sequence[Mapping[str, Any]], *, late: bool) -> str:
        first = "not everything is ready in time" if late else "a process keeps failing"
        parts = [first]
        for row in rows[:4]:
            words = logs.tail(self.folder / "logs", row["name"], 8)
            parts.append(f"--- {row['name']}: {row['state']} {row['detail']}\n{words}")
        return "\n".join(parts)

    def down(self, *, timeout_s: float = DOWN_S) -> bool:
        """Stop everything; return whether anything was running. A hung supervisor is killed."""
        try:
            pid = int(self.status()["pid"])
            self._ask({"do": "down"})
        except NotFoundError:
            self._sweep()
            return False
        except UnavailableError:
            pid = self._locked_by()
        deadline = time.monotonic() + timeout_s
        while _alive(pid, self._supervisor):
            if time.monotonic() > deadline:
                self.kill()
                break
            time.sleep(0.05)
        self._sweep()
        return True

    def kill(self) -> None:
        """End everything at once, as `kill -9` of the supervisor does."""
        if (pid := self._locked_by()) > 0:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, 9)
        if self._supervisor is not None:
            signal_group(self._supervisor.pid, 9)  # type: ignore[arg-type]
            self._supervisor.wait()
        self._sweep()

    def _locked_by(self) -> int:
        with suppress(OSError, ValueError):
            pid = int((self.folder / "run" / "lock").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"twinmesh_local.supervisor" in command and str(self.folder).encode() in command:
                return pid
        return 0

    def _sweep(self) -> None:
        with suppress(NotFoundError):
            sweep(self.state.tag)

    # -- asking --------------------------------------------------------------------------------

    def _ask(self, request: Mapping[str, Any], *, timeout_s: float = CALL_S) -> dict[str, Any]:
        reply = control.ask(self.folder / "run", request, timeout_s=timeout_s)
        if "error" in reply:
            _raise(reply)
        return reply

    def status(self, *, memory: bool = False) -> dict[str, Any]:
        """Return the supervisor's report.

        Args:
            memory: Measure each process's memory too, which takes some 50 ms.

        Raises:
            NotFoundError: No mesh is running here.
            UnavailableError: Its supervisor does not answer.
        """
        return self._ask({"do": "status", "memory": memory})

    def join(self, folder: Path) -> dict[str, Any]:
        """Let a twin join the running mesh.

        Raises:
            TwinError: It is none, does not install or start, or its contract is refused.
        """
        return self._ask({"do": "join", "path": str(folder.absolute())}, timeout_s=JOIN_S)

    def pid(self, name: str) -> int | None:
        """Return the process of a name; None while it has none."""
        for row in self.status()["processes"]:
            if row["name"] == name:
                return None if row["pid"] is None else int(row["pid"])
        raise NotFoundError(f"no process {name!r}")

    # -- where things are ----------------------------------------------------------------------

    @property
    def state(self) -> State:
        """What the state folder holds now.

        Raises:
            NotFoundError: There is no mesh in it.
        """
        return State.load(self.folder)

    def port(self, name: str) -> int:
        """Return a port by name: `gateway.http`, `telemetry.grpc`, `mqtt`, `nats`, ...

        Raises:
            NotFoundError: There is none of that name.
        """
        try:
            return self.state.ports[name]
        except KeyError as error:
            raise NotFoundError(f"no port {name!r}") from error

    def url(self, service: str) -> str:
        """Return the root of a service's HTTP doors."""
        return f"http://{LOOPBACK}:{self.port(f'{service}.http')}"

    @property
    def gateway_url(self) -> str:
        """Where the graph is asked."""
        return f"{self.url('gateway')}/graphql"

    @property
    def nats(self) -> NatsStore:
        """The bus: `url`, `mqtt_port`, `enrol_device`, `enrol_reader`."""
        ports = self.state.ports
        return NatsStore(self.folder / "nats", port=ports["nats"], mqtt_port=ports["mqtt"])

    def enrol_device(self, *, tenant: str, source: str) -> tuple[str, str]:
        """Return user and password of a source's devices, for MQTT and NATS."""
        user = self.nats.enrol_device(tenant=tenant, source=source)
        return user.name, user.password

    def enrol_reader(self, *, tenant: str) -> tuple[str, str]:
        """Return user and password of a tenant's event reader; inbox prefix `_INBOX_<user>`."""
        user = self.nats.enrol_reader(tenant=tenant)
        return user.name, user.password

    def credentials(self, client_id: str) -> tuple[str, str]:
        """Return a client's id and secret at the issuer.

        Raises:
            NotFoundError: There is no such client.
        """
        secret = self.state.secrets.get(f"issuer/{client_id}")
        if secret is None:
            raise NotFoundError(f"no identity {client_id!r}", hint=f"one of {', '.join(known())}")
        return client_id, secret

    def token(self, client_id: str) -> str:
        """Return an access token of a client, by its credentials.

        Raises:
            NotFoundError: There is no such client.
            UnauthenticatedError: The issuer refuses it.
            UnavailableError: The issuer does not answer.
        """
        name, secret = self.credentials(client_id)
        form = urllib.parse.urlencode(
            {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
        )
        try:
            url = f"{self.url('issuer')}/token"
            with urllib.request.urlopen(url, form.encode(), CALL_S) as answer:  # noqa: S310 - our own
                return str(json.load(answer)["access_token"])
        except urllib.error.HTTPError as error:
            raise UnauthenticatedError(f"the issuer refuses {name}") from error
        except OSError as error:
            raise UnavailableError(
                "the issuer does not answer", hint="is the mesh up? see `twinmesh status`"
            ) from error


def identity_of(name: str | None, tenant: str | None) -> str:
    """Return the demo identity that a caller means.

    Args:
        name: Its name; None takes the first of the tenant.
        tenant: Its tenant; None takes any.

    Raises:
        InvalidInputError: There is none, or not in that tenant.
    """
    people: tuple[Identity, ...] = (*DEMO, *FURTHER)
    found = [i for i in people if name in {None, i.client_id} and tenant in {None, i.tenant}]
    if not found:
        listed = ", ".join(f"{i.client_id} ({i.tenant})" for i in people)
        raise InvalidInputError(f"no such identity; there are {listed}")
    return found[0].client_id


def known() -> list[str]:
    """Return the names of the demo identities."""
    return [identity.client_id for identity in (*DEMO, *FURTHER)]


def _raise(reply: Mapping[str, Any]) -> None:
    kind = BY_CODE[ErrorCode(reply["code"])]
    raise kind(str(reply["error"]), hint=str(reply.get("hint", "")))


def _alive(pid: int, started: subprocess.Popen[bytes] | None) -> bool:
    if started is not None and started.pid == pid:
        return started.poll() is None
    return pid > 0 and Path(f"/proc/{pid}").exists()


def _line(row: Mapping[str, Any]) -> str:
    after = f" after {row['ready_s']:.1f} s" if row["ready_s"] is not None else ""
    return f"{row['name']:<18} {row['state'].lower()}{after} {row['detail'][:160]}".rstrip()
