"""A program of the stack: how it is started, when it is ready, how it is stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from twinmesh_sdk.core.errors import UnavailableError

Probe = Callable[[], None]
"""Returns when ready; raises `UnavailableError` when not. Takes a second at most."""

LAUNCHER: Final = Path(__file__).with_name("launch.py")
STOP_GRACE_S: Final = 8.0
POLL_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class Program:
    """One process of the stack.

    Attributes:
        argv: Absolute path of the executable and its arguments; no secrets, others can list them.
        ready: Asked until it passes.
        ready_s: How long it may take to become ready.
        user: Account to drop to when started by root; None to stay.
        capability: Kept by that account, to enter folders that are closed to it; None for none.
        stop_signal: What asks it to finish.
    """

    name: str
    argv: tuple[str, ...]
    cwd: Path
    ready: Probe
    env: Mapping[str, str] = field(default_factory=dict)
    ready_s: float = 60.0
    user: str | None = None
    capability: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace_s: float = STOP_GRACE_S

    def command(self, parent: int) -> list[str]:
        """Return the command that starts it as a child of `parent`, bound to its life."""
        return [
            sys.executable, "-I", "-S", str(LAUNCHER), str(parent),
            self.user or "-", "-" if self.capability is None else str(self.capability), "--",
            *self.argv,
        ]  # fmt: skip


def start(program: Program, *, log_fd: int, tag: str) -> subprocess.Popen[bytes]:
    """Start `program` with its output going to `log_fd`. Call from the main thread only.

    The kernel binds a child to the *thread* that made it, so a worker thread's end would kill it.

    Args:
        tag: Kept in its environment as `TWINMESH_RUN`, by which strays are found.
    """
    return subprocess.Popen(
        program.command(os.getpid()),
        cwd=program.cwd,
        env={**_inherited(), **program.env, "TWINMESH_RUN": tag},
        stdin=subprocess.DEVNULL,
        stdout=log_fd,
        stderr=log_fd,
        close_fds=True,
    )


_PASSED_ON: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "JAVA_HOME",
    "TWINMESH_RECORDINGS", "TWINMESH_CASES", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip


def _inherited() -> dict[str, str]:
    """Return what a child may know of our environment: nothing of the user's secrets."""
    kept = {k: v for k in _PASSED_ON if (v := os.environ.get(k)) is not None}  # noqa: TID251 - passed on
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}


def await_ready(program: Program, process: subprocess.Popen[bytes]) -> None:
    """Wait until `program` answers its probe.

    Raises:
        UnavailableError: It exited, or `ready_s` passed.
    """
    deadline = time.monotonic() + program.ready_s
    while True:
        if process.poll() is not None:
            raise UnavailableError(f"{program.name} exited with {process.returncode} at start")
        try:
            program.ready()
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{program.name} was not ready in {program.ready_s:.0f} s: {error}"
                ) from error
            time.sleep(POLL_S)
        else:
            return


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a child's whole process group; silent when it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def stop(program: Program, process: subprocess.Popen[bytes]) -> None:
    """Ask it to finish; kill what is left of its group after the grace."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
            process.send_signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(program.stop_grace_s)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
