"""Free loopback ports: the usual one when it is free, any other when not."""

import socket
from collections.abc import Iterable, Mapping
from typing import Final

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


def choose(preferred: Mapping[str, int], *, taken: Iterable[int] = ()) -> dict[str, int]:
    """Return a free port for each name: its preferred one where possible (0: any).

    Args:
        taken: Ports promised to others, free or not.
    """
    used = set(taken)
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name, wish in preferred.items():
            if wish and wish not in used and is_free(wish):
                chosen[name] = wish
            else:
                chosen[name] = _any_free(used, held)
            used.add(chosen[name])
    finally:
        for each in held:
            each.close()
    return chosen


def _any_free(used: set[int], held: list[socket.socket]) -> int:
    """Return a port nobody has; `held` keeps it from being offered again meanwhile."""
    while True:
        probe = socket.socket()
        probe.bind((LOOPBACK, 0))
        held.append(probe)
        port = int(probe.getsockname()[1])
        if port not in used:
            return port
