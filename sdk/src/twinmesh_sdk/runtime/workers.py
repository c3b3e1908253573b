"""Background loops, kept alive: a crash is logged and the loop started again."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import Counter

from twinmesh_sdk.core.errors import TwinError, UnavailableError

log = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 15.0
MAX_CRASHES: Final = 20
WITHIN_S: Final = 300.0

CRASHES: Final = Counter("twin_worker_crashes_total", "Background loops that crashed", ["worker"])


class Workers:
    """The background loops of one service.

    A `TwinError` (a store that is away) is waited out for as long as it takes; any other exception
    is a bug, and MAX_CRASHES of them within WITHIN_S stop the service.

    Attributes:
        failure: Why the service had to stop; None while it had not.
    """

    def __init__(self, stop: Callable[[], None], *, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._stop = stop
        self._first_pause_s = first_pause_s
        self._work: dict[str, Callable[[], Awaitable[None]]] = {}
        self.failure: TwinError | None = None

    def add(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Add a loop; the name must be new."""
        if name in self._work:
            raise ValueError(f"there is a worker {name!r} already")
        self._work[name] = run

    async def run(self) -> None:
        """Run all loops until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, run in self._work.items():
                group.create_task(self._keep(name, run), name=name)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        pause, crashes = self._first_pause_s, deque[float](maxlen=MAX_CRASHES)
        while True:
            began = time.monotonic()
            try:
                await run()
            except TwinError as error:
                log.warning("worker failed", extra={"worker": name, "error": str(error)})
            except Exception:
                log.exception("worker crashed", extra={"worker": name})
                crashes.append(time.monotonic())
                if len(crashes) == MAX_CRASHES and crashes[-1] - crashes[0] < WITHIN_S:
                    self.failure = UnavailableError(f"worker {name} keeps crashing")
                    self._stop()
                    return
            else:
                log.info("worker has finished", extra={"worker": name})
                return
            CRASHES.labels(name).inc()
            if time.monotonic() - began > WITHIN_S:
                pause = self._first_pause_s
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_S)
