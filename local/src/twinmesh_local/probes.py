"""Is it ready? One question per protocol, each answered within a second."""

import http.client
import socket
from typing import Final

from twinmesh_sdk.core.errors import UnavailableError

PROBE_S: Final = 1.0
LOOPBACK: Final = "127.0.0.1"


class NotReadyError(UnavailableError):
    """It answered, and said that it is not ready."""


def tcp_open(port: int) -> None:
    """Pass when something listens on a loopback port.

    Raises:
        UnavailableError: Nothing does.
    """
    try:
        with socket.create_connection((LOOPBACK, port), PROBE_S):
            return
    except OSError as error:
        raise UnavailableError(f"port {port}: {error}") from error


def nats_ready(port: int) -> None:
    """Pass when a NATS server greets on the port.

    Raises:
        UnavailableError: It does not.
    """
    try:
        with socket.create_connection((LOOPBACK, port), PROBE_S) as connection:
            connection.settimeout(PROBE_S)
            greeting = connection.recv(5)
    except OSError as error:
        raise UnavailableError(f"port {port}: {error}") from error
    if greeting != b"INFO ":
        raise UnavailableError(f"port {port} does not speak NATS")


def http_ok(port: int, path: str, *, status: int = 200) -> None:
    """Pass when `GET path` answers `status`.

    Raises:
        NotReadyError: It answers otherwise; the message carries its first words.
        UnavailableError: It does not answer.
    """
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=PROBE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read(2000)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"port {port}: {error}") from error
    finally:
        connection.close()
    if answer.status != status:
        words = said[:400].decode(errors="replace")
        raise NotReadyError(f"{path} answers {answer.status}: {words}")
