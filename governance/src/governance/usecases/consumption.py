"""Count what was consumed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from governance.decide.deprecations import used_parts_deprecated
from governance.decide.evidence import owners_of
from governance.model.changes import Deprecation
from governance.model.consumption import Report, Use
from governance.ports import ConsumptionSession, Registry
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.ports.clock import Clock

REPORTS_KEPT: Final = timedelta(days=8)
"""Longer than the stream keeps a report, so that none is counted twice."""
FORGET_AT_ONCE: Final = 5_000
DEPRECATION: Final = timedelta(days=30)
MAX_USES: Final = 1_000_000
"""Kept over all tenants; the longest unseen go first."""


class RecordConsumption:
    """Count a report, once however often it arrives."""

    def __init__(
        self, registry: Registry, clock: Clock, *, deprecation: timedelta = DEPRECATION
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._deprecation = deprecation

    async def __call__(self, report: Report) -> bool:
        """Add a report to what is known; False when it was counted before.

        The owner of a client that begins to use what is deprecated is told.

        Raises:
            UnavailableError: The store does not answer; ask again.
        """
        now = self._clock.wall_now()
        # A clock that is ahead must not keep a use alive after the last one.
        uses = [use.not_after(now) for use in report.uses]
        async with self._registry.consumption() as session:
            if not await session.first_time(report):
                return False
            first = await session.add_uses(report.tenant, uses)
            if first and (marked := await session.deprecated({u.coordinate for u in first})):
                await self._tell(session, report.tenant, first, marked)
        return True

    async def _tell(
        self,
        session: ConsumptionSession,
        tenant: str,
        first: Sequence[Use],
        marked: Sequence[Deprecation],
    ) -> None:
        active = (await session.mesh()).active().values()
        told = used_parts_deprecated(
            marked,
            {tenant: first},
            owners_of((contract.bundle for contract in active), await session.owners()),
            window=self._deprecation,
            at={tenant: self._clock.plant_now(Tenant(tenant))},
        )
        await session.announce(told)


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
