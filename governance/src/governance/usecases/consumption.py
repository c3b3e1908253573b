"""Count what was consumed."""

from datetime import timedelta
from typing import Final

from governance.model.consumption import Report
from governance.ports import Registry
from twinmesh_sdk.ports.clock import Clock

REPORTS_KEPT: Final = timedelta(days=8)
"""Longer than the stream keeps a report, so that none is counted twice."""
FORGET_AT_ONCE: Final = 5_000
MAX_USES: Final = 1_000_000
"""Kept over all tenants; the longest unseen go first."""


class RecordConsumption:
    """Count a report, once however often it arrives."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def __call__(self, report: Report) -> bool:
        """Add a report to what is known; False when it was counted before.

        Raises:
            UnavailableError: The store does not answer; ask again.
        """
        now = self._clock.wall_now()
        # A clock that is ahead must not keep a use alive after the last one.
        uses = [use.not_after(now) for use in report.uses]
        async with self._registry.consumption() as session:
            if not await session.first_time(report):
                return False
            await session.add_uses(report.tenant, uses)
        return True


class ForgetUses:
    """Forget uses that nobody has repeated for long."""

    def __init__(self, registry: Registry, clock: Clock, *, kept_days: float) -> None:
        self._registry = registry
        self._clock = clock
        self._kept = timedelta(days=kept_days)

    async def __call__(self) -> int:
        """Forget a bounded number of uses; returns how many went."""
        now = self._clock.wall_now()
        async with self._registry.consumption() as session:
            return await session.forget(
                uses_before=now - self._kept,
                reports_before=now - REPORTS_KEPT,
                at_most=MAX_USES,
                limit=FORGET_AT_ONCE,
            )
