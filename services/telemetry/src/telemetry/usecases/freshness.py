"""Judge freshness by the clock, and tell when a verdict changes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np

from telemetry.decide.verdicts import (
    LATE_GRACE_S,
    US,
    Watch,
    announced_codes,
    change_of,
    verdict_codes,
)
from telemetry.model.reading import Bytes
from telemetry.model.verdict import VerdictState
from telemetry.ports import VerdictStore
from telemetry.usecases.board import SignalBoard
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.ports.clock import Clock

MAX_CHANGES: Final = 2_000
"""Verdicts saved in one transaction; what is beyond is found again at the next tick."""

Known = dict[tuple[str, str], VerdictState]


@dataclass(slots=True)
class _Watched:
    """One tenant's signals, and the verdicts that were announced about them."""

    watch: Watch
    announced: Bytes


class JudgeFreshness:
    """Compares, at every tick, what the clock says with what was announced.

    Nothing is scheduled, so nothing can be missed: a jump of the plant's clock, a new budget and
    a restart are all just another tick.
    """

    def __init__(
        self,
        *,
        board: SignalBoard,
        verdicts: VerdictStore,
        budgets: Callable[[], Mapping[str, Budget]],
        clock: Clock,
    ) -> None:
        self._board = board
        self._verdicts = verdicts
        self._budgets = budgets
        self._clock = clock
        self._known: dict[str, Known] | None = None
        self._watched: dict[str, _Watched] = {}
        self._shape: tuple[int, Mapping[str, Budget]] = (-1, {})

    async def __call__(self) -> int:
        """Judge every signal now; return how many verdicts changed.

        Raises:
            UnavailableError: The verdicts cannot be read or saved; the next tick tries again.
            ConflictError: Another process changed one; the next tick reads them again.
        """
        known = await self._announced()
        self._arrange(known)
        count = 0
        for tenant, watched in self._watched.items():
            count += await self._judge(Tenant(tenant), watched, known.setdefault(tenant, {}))
        return count

    async def _judge(self, tenant: Tenant, watched: _Watched, known: Known) -> int:
        watch = watched.watch
        now_us, speed = to_us(self._clock.plant_now(tenant)), self._clock.speed(tenant)
        advanced_us = np.array(
            [self._board.tail(s.signal_id).advanced_us for s in watch.signals], np.int64
        )
        codes = verdict_codes(
            watch, advanced_us, now_us=now_us, speed=speed, late_grace_us=LATE_GRACE_S * speed * US
        )
        pairs = np.flatnonzero(codes != watched.announced)[:MAX_CHANGES]
        changes = [
            change_of(
                watch,
                int(pair),
                int(codes[pair]),
                advanced_us=int(advanced_us[pair // len(watch.budgets)]),
                before=known.get(watch.key(int(pair))),
                now=from_us(now_us),
            )
            for pair in pairs
        ]
        if not changes:
            return 0
        try:
            await self._verdicts.save(changes)
        except BaseException:
            self._known = None  # what is announced is uncertain now: read it again
            raise
        known.update({(c.now.signal_id, c.now.decision): c.now for c in changes})
        watched.announced[pairs] = codes[pairs]
        return len(changes)

    async def _announced(self) -> dict[str, Known]:
        if self._known is None:
            known: dict[str, Known] = {}
            for state in await self._verdicts.all():
                known.setdefault(state.tenant, {})[state.signal_id, state.decision] = state
            self._known = known
            self._shape = (-1, {})
        return self._known

    def _arrange(self, known: dict[str, Known]) -> None:
        """Pair signals and budgets anew when either changed."""
        budgets = self._budgets()
        if self._shape == (self._board.shape, budgets):
            return
        self._shape = (self._board.shape, budgets)
        named = sorted(budgets.values(), key=lambda b: b.decision)
        signals = sorted(self._board.signals(), key=lambda s: (s.tenant, s.signal_id))
        self._watched = {}
        for tenant, mine in groupby(signals, key=lambda s: s.tenant):
            watch = Watch.over(list(mine), named)
            self._watched[tenant] = _Watched(watch, announced_codes(watch, known.get(tenant, {})))
