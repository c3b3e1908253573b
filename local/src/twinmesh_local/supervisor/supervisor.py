"""Starts the stack, all at once where nothing else is needed first, and keeps it running."""

import asyncio
import fcntl
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import IO, Any, Final

from twinmesh_local.catalogue import SERVICES, Service
from twinmesh_local.programs import Program
from twinmesh_local.state import State
from twinmesh_local.stores import neo4j
from twinmesh_local.supervisor import logs
from twinmesh_local.supervisor.child import Child, Phase, Plan
from twinmesh_local.supervisor.complaints import START_FREE_MB, Room, complaints
from twinmesh_local.supervisor.stack import STORES, Stack
from twinmesh_local.supervisor.strays import resident_kb, sweep
from twinmesh_local.supervisor.twins import Twin, install, read_twin
from twinmesh_sdk.core.errors import ConflictError, NotFoundError, TwinError, UnavailableError

log = logging.getLogger(__name__)

TRIM_S: Final = 5.0
JOIN_S: Final = 120.0


class Lock:
    """One supervisor per state folder. The kernel lets go of it however the process ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("a+")

    def take(self) -> None:
        """Take it.

        Raises:
            ConflictError: Another supervisor has it.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            pid = self._file.read().strip()
            raise ConflictError(
                f"a mesh of this state folder is running (process {pid})",
                hint="see `twinmesh status`; stop it with `twinmesh down`",
            ) from error
        self._file.seek(0)
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()


class Supervisor:
    """Everything that runs, by name, in the order in which it is listed.

    Args:
        stack: What there is to run; its state has its ports.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.children: dict[str, Child] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._began_s = time.monotonic()
        self._up_after_s: float | None = None
        self._joining = asyncio.Lock()
        self.stopping = asyncio.Event()

    @property
    def state(self) -> State:
        """The state folder."""
        return self.stack.state

    # -- starting ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Start everything, and look after it until asked to stop; then stop it in order."""
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            self._start_all()
            await self.stopping.wait()
        finally:
            housekeeping.cancel()
            await self._stop_all()

    def _start_all(self) -> None:
        for plan in self.stack.store_plans():
            self._add(plan)
        self._add(self.stack.job_plan("migrate"), "postgres")
        self._add(self.stack.job_plan("register"), "issuer")
        for service in SERVICES:
            self._add(self.stack.service_plan(service), *self._needs(service))
        for twin in self.stack.twins.values():
            self._start_twin(twin)
        if self.stack.plant is not None:
            self._add(self.stack.plant_plan(), "gateway", "telemetry", "asset-registry", "register")

    def _needs(self, service: Service) -> list[str]:
        needs = ["nats", "issuer"]
        if service.database:
            needs.append("migrate")
        if service.graph and "graph" in self.children:
            needs.append("graph")
        if service.tsdb:
            needs.append("tsdb")
        return needs

    def _add(self, plan: Plan, *needs: str) -> Child:
        child = Child(plan, logs=self.state.place("logs"), tag=self.state.tag)
        self.children[plan.name] = child
        awaited = [self.children[need].reached for need in needs]

        async def live() -> None:
            for event in awaited:
                await event.wait()
            await child.run()

        self._keep(plan.name, live())
        return child

    def _keep(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside; a bug in it is logged, and shown where the process is listed."""
        task = asyncio.create_task(work)
        self._tasks[name] = task

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("%s: nobody looks after it any more", name, exc_info=error)
                if (child := self.children.get(name.rsplit(maxsplit=1)[-1])) is not None:
                    child.detail = f"{error}"

        task.add_done_callback(ended)

    async def _keep_house(self) -> None:
        full = False
        while True:
            if self._up_after_s is None and self.is_up:
                self._up_after_s = time.monotonic() - self._began_s
            logs.trim(self.state.place("logs"))
            full = self._warn_of_full_disk(full)
            await asyncio.sleep(0.1 if self._up_after_s is None else TRIM_S)

    def _warn_of_full_disk(self, warned: bool) -> bool:
        """Log once when the disk gets too full, again after it had room; tell whether it is."""
        room = Room.of(self.state.folder)
        if room.is_short and not warned:
            log.warning("%s", room)
        return room.is_short

    @property
    def is_up(self) -> bool:
        """Whether everything has been ready once and nothing is amiss now."""
        fine = {Phase.READY, Phase.DONE}
        return all(child.phase in fine for name, child in self.children.items() if name != "plant")

    # -- stopping ------------------------------------------------------------------------------

    async def _stop_all(self) -> None:
        """Stop what calls before what is called: plant, twins and services, then the stores."""
        others = [c for name, c in self.children.items() if name not in STORES]
        await asyncio.gather(*(child.stop() for child in others))
        stores = [c for name, c in self.children.items() if name in STORES]
        await asyncio.gather(*(child.stop() for child in stores))
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await asyncio.to_thread(sweep, self.state.tag)

    # -- joining twins -------------------------------------------------------------------------

    async def join(self, folder: Path) -> dict[str, Any]:
        """Let a stranger's twin join while everything runs.

        Raises:
            TwinError: It is none, does not install, or its contract is refused.
        """
        async with self._joining:
            twin = read_twin(folder, self.state.place("twins"))
            before = self.stack.twins.get(twin.name)
            try:
                await self._introduce(twin)
                await self._register(twin)
            except (TwinError, OSError, subprocess.SubprocessError):
                self._remember(twin.name, before)
                raise
            if (running := self.children.pop(twin.name, None)) is not None:
                await running.stop()
                self._tasks.pop(twin.name).cancel()
            child = self._add(self.stack.twin_plan(twin), "nats", "issuer")
            try:
                await asyncio.wait_for(child.reached.wait(), JOIN_S)
            except TimeoutError as error:
                words = logs.tail(self.state.place("logs"), twin.name, 20)
                raise UnavailableError(
                    f"{twin.name} is not ready: {child.detail}\n{words}"
                ) from error
            return {"joined": twin.name, "pid": child.pid}

    async def _introduce(self, twin: Twin) -> None:
        """Give a twin its environment, ports and credentials."""
        stack = self.stack
        user = stack.twin_user(twin)
        await asyncio.to_thread(install, twin)
        self._remember(twin.name, twin)
        self.state.claim_ports([n for n in stack.port_names() if n not in self.state.ports])
        identities = stack.identities()
        self.state.save()
        stack.issuer.prepare(identities)
        await asyncio.to_thread(stack.nats.enrol, lambda _password: user)

    def _remember(self, name: str, twin: Twin | None) -> None:
        """Keep a twin for the next start, or forget it."""
        if twin is None:
            self.stack.twins.pop(name, None)
            self.state.twins.pop(name, None)
        else:
            self.stack.twins[name] = twin
            self.state.twins[name] = str(twin.folder)
        self.state.save()

    def _start_twin(self, twin: Twin) -> None:
        """Start a twin that joined earlier; its contract is registered after ours."""

        def prepare() -> Program:
            install(twin)
            return self.stack.twin_plan(twin).prepare()

        again = Plan(twin.name, prepare, port=self.state.ports[f"{twin.name}.http"])

        async def push() -> None:
            await self.children["register"].reached.wait()
            try:
                await self._register(twin)
            except TwinError as error:
                log.error("%s", error)
                await child.stop()
                child.detail = str(error)
                self._remember(twin.name, None)

        child = self._add(again, "nats", "issuer")
        self._keep(f"register {twin.name}", push())

    async def _register(self, twin: Twin) -> None:
        """Push a twin's contract, with the twin's own interpreter, which has its generated code."""
        contract = next(twin.folder.glob(f"**/{twin.package}/contract"))
        process = await asyncio.create_subprocess_exec(
            str(twin.python), "-m", "twinmesh_local.supervisor.register", str(self.state.folder),
            twin.name, self.stack.subgraph_url(twin.name), str(contract),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode != 0:
            words = said.decode(errors="replace").strip().splitlines()[-1:]
            raise UnavailableError(f"the contract of {twin.name}: {' '.join(words)}")

    # -- answering -----------------------------------------------------------------------------

    def status(self, *, memory: bool) -> dict[str, Any]:
        """Return what `twinmesh status` shows; memory only where asked for, as it takes a while."""
        rows = [_row(child, memory=memory) for child in self.children.values()]
        room = Room.of(self.state.folder)
        return {
            "up": self.is_up,
            "up_after_s": None if self._up_after_s is None else round(self._up_after_s, 2),
            "pid": os.getpid(),
            "graph": self.state.graph,
            "memory_mb": round(sum(row["memory_mb"] for row in rows), 1),
            "free_mb": room.free_mb,
            "complaints": complaints(rows, room),
            "processes": rows,
        }

    async def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request from the control socket.

        Raises:
            TwinError: It cannot be done.
        """
        doing: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
            "status": lambda: self._answer_status(memory=bool(request.get("memory", True))),
            "down": self._answer_down,
            "join": lambda: self.join(Path(str(request.get("path", "")))),
        }
        action = doing.get(str(request.get("do")))
        if action is None:
            raise NotFoundError(f"no such request: {request.get('do')!r}")
        return await action()

    async def _answer_status(self, *, memory: bool) -> dict[str, Any]:
        if not memory:
            return self.status(memory=False)
        return await asyncio.to_thread(self.status, memory=True)

    async def _answer_down(self) -> dict[str, Any]:
        self.stopping.set()
        return {"stopping": True}


def _memory_mb(child: Child) -> float:
    return resident_kb(child.pid) / 1024 if child.pid else 0.0


def _row(child: Child, *, memory: bool) -> dict[str, Any]:
    ready_s = child.ready_after_s
    return {
        "name": child.name,
        "state": child.phase.value,
        "pid": child.pid,
        "port": child.plan.port or None,
        "memory_mb": round(_memory_mb(child), 1) if memory else 0.0,
        "restarts": child.restarts,
        "ready_s": None if ready_s is None else round(ready_s, 2),
        "detail": child.detail[:500],
    }


def open_stack(
    folder: Path, *, graph: str | None, plant: Mapping[str, str] | None, joining: list[Path]
) -> Stack:
    """Make the state folder ready: strays ended, ports chosen, secrets made, twins read.

    Raises:
        TwinError: The folder cannot be used as asked; the hint says what can be done.
    """
    state = State.open(folder, graph=graph)
    if left := sweep(state.tag):
        log.warning("ended %d processes that an earlier mesh left behind", left)
    if state.graph == "neo4j" and neo4j.given() is None and not neo4j.can_start():
        raise UnavailableError("GRAPH=neo4j " + neo4j.HOW_TO_GET)
    stack = Stack(state, plant)
    known = {Path(path) for path in state.twins.values() if Path(path).exists()}
    for path in sorted(known | {path.resolve() for path in joining}):
        twin = read_twin(path, state.place("twins"))
        stack.twins[twin.name] = twin
    state.twins = {twin.name: str(twin.folder) for twin in stack.twins.values()}
    state.claim_ports(stack.port_names())
    stack.identities()
    stack.users()
    _ = (stack.postgres, stack.graph, stack.tsdb)
    for service in SERVICES:
        if service.database:
            state.secret(f"postgres/{service.name.replace('-', '_')}")
    state.save()
    _check_room(folder)
    return stack


def _check_room(folder: Path) -> None:
    """Refuse to start on a disk that is nearly full."""
    room = Room.of(folder)
    if room.free_mb < START_FREE_MB:
        raise UnavailableError(
            f"only {room.free_mb} MB are free at {folder}; {START_FREE_MB} MB are needed"
        )


assert sys.platform == "linux"
