"""Judge freshness by the clock, and tell when a verdict changes."""

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Final

from telemetry.decide.verdicts import Watch, changes
from telemetry.model.verdict import VerdictState
from telemetry.ports import VerdictStore
from telemetry.usecases.board import SignalBoard
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.ports.clock import Clock

MAX_CHANGES: Final = 2_000
"""Verdicts saved in one transaction; what is beyond is found again at the next tick."""


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
        self._known: dict[str, dict[tuple[str, str], VerdictState]] | None = None
        self._watches: dict[str, Watch] = {}
        self._watched: tuple[int, Mapping[str, Budget]] = (-1, {})

    async def __call__(self) -> int:
        """Judge every signal now; return how many verdicts changed.

        Raises:
            UnavailableError: The verdicts cannot be read or saved; the next tick tries again.
        """
        known = await self._announced()
        self._watch()
        count = 0
        for tenant, watch in self._watches.items():
            mine = known.setdefault(tenant, {})
            found = changes(
                watch,
                mine,
                now_us=to_us(self._clock.plant_now(Tenant(tenant))),
                speed=self._clock.speed(Tenant(tenant)),
                limit=MAX_CHANGES,
            )
            if not found:
                continue
            try:
                await self._verdicts.save(found)
            except ConflictError:
                self._known = None  # another process was here: read again
                raise
            mine |= {(c.now.signal_id, c.now.decision): c.now for c in found}
            count += len(found)
        return count

    async def _announced(self) -> dict[str, dict[tuple[str, str], VerdictState]]:
        if self._known is None:
            known: dict[str, dict[tuple[str, str], VerdictState]] = {}
            for state in await self._verdicts.all():
                known.setdefault(state.tenant, {})[state.signal_id, state.decision] = state
            self._known = known
        return self._known

    def _watch(self) -> None:
        """Pair signals and budgets anew when either changed."""
        budgets = self._budgets()
        if self._watched == (self._board.version, budgets):
            return
        self._watched = (self._board.version, budgets)
        named = sorted(budgets.values(), key=lambda b: b.decision)
        entries = sorted(self._board.entries(), key=lambda entry: entry[0].tenant)
        self._watches = {
            tenant: Watch.over(list(mine), named)
            for tenant, mine in groupby(entries, key=lambda entry: entry[0].tenant)
        }
