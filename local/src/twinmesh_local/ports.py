"""Free loopback ports: the usual one when it is free, any other when not.

Between choosing a port and listening on it another mesh could choose it too. `Claims` are known to
all meshes of a user, and end with the process that made them.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

LOOPBACK: Final = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a loopback port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class Claims:
    """Ports that this process will listen on, whoever else asks meanwhile."""

    def __init__(self) -> None:
        self._held: dict[int, IO[bytes]] = {}

    def take(self, port: int) -> bool:
        """Claim a port; False when another process has."""
        if port in self._held:
            return True
        file = (_folder() / str(port)).open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._held[port] = file
        return True


def _folder() -> Path:
    """Return this user's folder of claims, which nobody else can write to."""
    folder = Path(tempfile.gettempdir()) / f"twinmesh-ports-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise PermissionError(f"{folder} is not ours")
    return folder


def choose(
    preferred: Mapping[str, int], *, taken: Iterable[int] = (), claims: Claims | None = None
) -> dict[str, int]:
    """Return a free port for each name: its preferred one where possible (0: any).

    Args:
        preferred: By name.
        taken: Ports promised to others, free or not.
        claims: Where to claim them; None keeps them to nobody.
    """
    claims = claims or Claims()
    used = set(taken)
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name, wish in preferred.items():
            if wish and wish not in used and is_free(wish) and claims.take(wish):
                chosen[name] = wish
            else:
                chosen[name] = _any_free(used, held, claims)
            used.add(chosen[name])
    finally:
        for each in held:
            each.close()
    return chosen


def _any_free(used: set[int], held: list[socket.socket], claims: Claims) -> int:
    """Return a port nobody has; `held` keeps it from being offered again meanwhile."""
    while True:
        probe = socket.socket()
        probe.bind((LOOPBACK, 0))
        held.append(probe)
        port = int(probe.getsockname()[1])
        if port not in used and claims.take(port):
            return port
