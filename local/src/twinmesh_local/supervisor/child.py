"""The life of a supervised process: probed, restarted when it exits, never when it hangs."""

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from twinmesh_local.probes import NotReadyError
from twinmesh_local.programs import Program, signal_group, start
from twinmesh_local.supervisor.logs import open_log
from twinmesh_local.supervisor.strays import process_state
from twinmesh_sdk.core.errors import TwinError, UnavailableError

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 10.0
STEADY_S: Final = 30.0
STARTING_POLL_S: Final = 0.25
RUNNING_POLL_S: Final = 1.0
HUNG_AFTER: Final = 3


class Phase(StrEnum):
    """Where in its life a process is."""

    WAITING = "WAITING"  # for what it needs
    STARTING = "STARTING"
    READY = "READY"
    NOT_READY = "NOT_READY"  # answers, and says that it is not
    HUNG = "HUNG"  # runs, and does not answer: reported, not restarted
    BACKOFF = "BACKOFF"  # exited; started again after a pause
    STOPPED = "STOPPED"
    DONE = "DONE"  # finished what it was asked for


@dataclass(frozen=True, slots=True)
class Plan:
    """How a child is run.

    Attributes:
        prepare: Called on a thread before every start; makes the program.
        needs: Called before the first start; returns when what it needs is there.
        once: It is a job: exit 0 means done, and it is not probed.
    """

    name: str
    prepare: Callable[[], Program]
    once: bool = False
    port: int = 0


class Child:
    """Runs one plan for ever.

    Attributes:
        reached: Set once it was ready (a job: done) for the first time.
    """

    def __init__(self, plan: Plan, *, logs: Path, tag: str) -> None:
        self.plan = plan
        self.phase = Phase.WAITING
        self.restarts = 0
        self.detail = ""
        self.reached = asyncio.Event()
        self.started_s = 0.0
        self.ready_after_s: float | None = None
        self._logs = logs
        self._tag = tag
        self._process: subprocess.Popen[bytes] | None = None
        self._program: Program | None = None
        self._stopping = asyncio.Event()

    @property
    def name(self) -> str:
        """Its name."""
        return self.plan.name

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def run(self) -> None:
        """Start it, and start it again whenever it exits, until stopped."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._live()
            if self._stopping.is_set() or self.phase is Phase.DONE:
                return
            pause_s = FIRST_PAUSE_S if time.monotonic() - began > STEADY_S else pause_s
            self.phase = Phase.BACKOFF
            self.detail = f"exited with {code}" if code is not None else self.detail
            self.restarts += 1
            log.warning("%s ended: %s", self.name, self.detail)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _live(self) -> int | None:
        """Run it once; return its exit code, None when it could not be started."""
        self.phase = Phase.STARTING
        self.started_s = time.monotonic()
        try:
            program = await asyncio.to_thread(self.plan.prepare)
            log_fd = open_log(self._logs, self.name)
            try:
                process = start(program, log_fd=log_fd, tag=self._tag)
            finally:
                os.close(log_fd)
        except (TwinError, OSError, subprocess.SubprocessError) as error:
            hint = getattr(error, "hint", "")
            self.detail = f"{error}; {hint}" if hint else str(error)
            return None
        self._program, self._process = program, process
        exited = asyncio.create_task(_exit_of(process))
        watching = asyncio.create_task(self._watch(program, process))
        try:
            code = await exited
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            # What it started must not outlive it either.
            signal_group(process.pid, signal.SIGKILL)
        if self.plan.once and code == 0:
            self.phase, self.detail = Phase.DONE, ""
            self._mark_reached()
        return code

    def _mark_reached(self) -> None:
        if not self.reached.is_set():
            self.ready_after_s = time.monotonic() - self.started_s
            self.reached.set()

    async def _watch(self, program: Program, process: subprocess.Popen[bytes]) -> None:
        """Probe while it runs, and keep `phase` true."""
        if self.plan.once:
            return
        silent = 0
        while True:
            stopped = process_state(process.pid) == "T"
            try:
                await asyncio.to_thread(program.ready)
            except NotReadyError as error:
                silent = 0
                self.phase = Phase.NOT_READY if self.reached.is_set() else Phase.STARTING
                self.detail = str(error)
            except UnavailableError as error:
                silent += 1
                self.detail = str(error)
                late = time.monotonic() - self.started_s > program.ready_s
                seen = self.phase not in {Phase.STARTING, Phase.WAITING}
                if stopped or (silent >= HUNG_AFTER and (seen or late)):
                    self.phase = Phase.HUNG
            else:
                silent = 0
                self.phase, self.detail = (Phase.HUNG, "stopped") if stopped else (Phase.READY, "")
                self._mark_reached()
            early = self.phase is Phase.STARTING
            await asyncio.sleep(STARTING_POLL_S if early else RUNNING_POLL_S)

    async def stop(self) -> None:
        """Ask it to finish; end it when it does not in time."""
        self._stopping.set()
        process, program = self._process, self._program
        if process is None or program is None or process.poll() is not None:
            self.phase = Phase.STOPPED
            return
        with suppress(ProcessLookupError):
            process.send_signal(program.stop_signal)
            process.send_signal(signal.SIGCONT)
        with suppress(TimeoutError):
            await asyncio.wait_for(_exit_of(process), program.stop_grace_s)
        signal_group(process.pid, signal.SIGKILL)
        await _exit_of(process)
        self.phase = Phase.STOPPED


async def _exit_of(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code when the process has ended, without a thread of its own."""
    if process.poll() is None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        try:
            handle = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return process.wait()
        loop.add_reader(handle, _settle, ended)
        try:
            await ended
        finally:
            loop.remove_reader(handle)
            os.close(handle)
    return process.wait()


def _settle(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)
