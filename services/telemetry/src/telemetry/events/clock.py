"""The ticks: freshness, the pipeline, roll-ups and quarantine are looked at by the clock."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from telemetry.decide.pipeline import LEAST_SILENCE_S, Backlog
from telemetry.ports import Ledger, RawStream, ReadingStore
from telemetry.usecases.board import SignalBoard
from telemetry.usecases.freshness import JudgeFreshness
from telemetry.usecases.pipeline import WatchPipeline
from telemetry.usecases.quarantine import ReplayQuarantine
from telemetry.usecases.retention import ObeyRetention
from telemetry.usecases.rollups import RefreshRollups
from twinmesh_sdk.core.errors import TwinError
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

FRESHNESS_S: Final = 0.5
PIPELINE_S: Final = 1.0
ROLLUPS_S: Final = 20.0
SWEEP_S: Final = 15.0
RETENTION_S: Final = 60.0


async def every(seconds: float, what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` every so often until cancelled; a store that is away is waited for."""
    while True:
        try:
            await work()
        except TwinError as error:
            log.warning("tick failed", extra={"what": what, "error": str(error)})
        await asyncio.sleep(seconds)


class FreshnessTicks:
    """Judges freshness twice a second, after the board was filled from the stores once."""

    def __init__(
        self,
        *,
        judge: JudgeFreshness,
        board: SignalBoard,
        store: ReadingStore,
        ledger: Ledger,
    ) -> None:
        self._judge = judge
        self._board = board
        self._store = store
        self._ledger = ledger

    async def run(self) -> None:
        """Tick until cancelled."""
        await self.recover()
        await every(FRESHNESS_S, "freshness", self._judge)

    async def recover(self) -> None:
        """Fill the board with what the stores hold, as after a restart."""
        signals = {(s.tenant, s.signal_id): s for s in await self._ledger.seen_signals()}
        for key, tail in (await self._store.all_tails()).items():
            if key in signals:
                self._board.note(signals[key], tail)


class PipelineTicks:
    """Looks at the pipeline every second, from beside the ingest."""

    def __init__(
        self, *, watch: WatchPipeline, ledger: Ledger, stream: RawStream, name: str, clock: Clock
    ) -> None:
        self._watch = watch
        self._ledger = ledger
        self._stream = stream
        self._name = name
        self._clock = clock
        self._head = -1
        self._head_us = 0

    async def run(self) -> None:
        """Tick until cancelled; what stood still while this process was down gets its chance."""
        await asyncio.sleep(LEAST_SILENCE_S)
        await every(PIPELINE_S, "pipeline", self._look)

    async def _look(self) -> None:
        cursor = await self._ledger.processed(self._name)
        head = cursor.last_seq if cursor else 0
        last = await self._stream.last_sequence()
        if head != self._head or head >= last:
            self._head, self._head_us = head, to_us(self._clock.wall_now())
        await self._watch(Backlog(waiting=max(0, last - head), head_us=self._head_us))


class HousekeepingTicks:
    """Makes touched hours again, replays what can come through by now, forgets what is too old."""

    def __init__(
        self, *, rollups: RefreshRollups, replay: ReplayQuarantine, retention: ObeyRetention
    ) -> None:
        self._rollups = rollups
        self._replay = replay
        self._retention = retention

    async def roll_up(self) -> None:
        """Refresh roll-ups until cancelled."""
        await every(ROLLUPS_S, "roll-ups", self._rollups)

    async def sweep(self) -> None:
        """Sweep the quarantine until cancelled."""
        await every(SWEEP_S, "quarantine", self._sweep)

    async def forget(self) -> None:
        """Forget what is kept no longer, until cancelled."""
        await every(RETENTION_S, "retention", self._forget)

    async def _forget(self) -> None:
        for data_class, rows in (await self._retention()).items():
            log.info("kept no longer", extra={"data_class": data_class, "rows": rows})

    async def _sweep(self) -> None:
        began = time.monotonic()
        if readings := await self._replay.sweep():
            log.info(
                "quarantine swept",
                extra={"readings": readings, "seconds": round(time.monotonic() - began, 3)},
            )
