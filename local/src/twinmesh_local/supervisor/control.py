"""The control socket: one JSON object per line each way, for the owner of the state folder only."""

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from twinmesh_sdk.core.errors import NotFoundError, TwinError, UnavailableError

log = logging.getLogger(__name__)

NAME: Final = "control.sock"
MAX_LINE: Final = 65_536
ASK_S: Final = 5.0

Answer = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


def _address(folder: int) -> str:
    """Return a short address: a socket's path may have 107 bytes, a state folder's more."""
    return f"/proc/self/fd/{folder}/{NAME}"


def _listener(run: Path) -> socket.socket:
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    run.chmod(0o700)
    (run / NAME).unlink(missing_ok=True)
    folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(_address(folder))
    finally:
        os.close(folder)
    return listener


async def serve(run: Path, answer: Answer) -> asyncio.Server:
    """Listen in the folder `run`."""
    listener = _listener(run)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = json.loads(await reader.readline() or b"{}")
            reply = await answer(request if isinstance(request, dict) else {})
        except TwinError as error:
            reply = {"error": str(error), "code": error.code.value, "hint": error.hint}
        except (ValueError, asyncio.LimitOverrunError) as error:
            reply = {"error": f"unreadable request: {error}", "code": "INVALID_INPUT", "hint": ""}
        except Exception as error:
            log.exception("request failed")
            reply = {"error": f"internal error: {error!r}", "code": "UNAVAILABLE", "hint": ""}
        with suppress(ConnectionError):
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(handle, sock=listener, limit=MAX_LINE)


def ask(run: Path, request: Mapping[str, Any], *, timeout_s: float = ASK_S) -> dict[str, Any]:
    """Ask the supervisor of a state folder.

    Raises:
        NotFoundError: None is running.
        UnavailableError: It does not answer.
        TwinError: It refuses; of the kind that it named.
    """
    try:
        folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise NotFoundError("no mesh is running here", hint="run `twinmesh up`") from error
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(_address(folder))
            connection.sendall(json.dumps(dict(request)).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotFoundError("no mesh is running here", hint="run `twinmesh up`") from error
    except (ConnectionResetError, BrokenPipeError) as error:  # killed, and on its way out
        raise NotFoundError("the mesh here has just ended", hint="run `twinmesh up`") from error
    except OSError as error:
        raise UnavailableError(f"the supervisor does not answer: {error}") from error
    finally:
        os.close(folder)
    if not line:
        raise UnavailableError("the supervisor closed the connection")
    reply: dict[str, Any] = json.loads(line)
    return reply
