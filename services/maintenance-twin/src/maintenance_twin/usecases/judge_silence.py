"""Notice, by the clock alone, that an asset's inputs have fallen silent."""

from typing import Final

from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.tuning import US
from maintenance_twin.ports import Change, ConditionRewrite, StateAnnouncement, TwinStore
from maintenance_twin.usecases.workbench import Workbench
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.core.trust import CLOCK_RESOLUTION_S, Budget, Reason
from twinmesh_sdk.ports.clock import Clock

MAX_AT_ONCE: Final = 200


class JudgeSilence:
    """Mark assets UNKNOWN whose mandatory inputs are older than the decision tolerates.

    What was learned and what is open stay as they are: silence is no evidence of health, nor of
    a fault.
    """

    def __init__(self, store: TwinStore, bench: Workbench, clock: Clock, budget: Budget) -> None:
        self._store = store
        self._bench = bench
        self._clock = clock
        self._budget = budget

    async def __call__(self, tenant: Tenant) -> int:
        """Judge a tenant's assets; return how many fell silent. Twice changes nothing.

        A budget that the tenant's clock cannot resolve at its speed is not judged.

        Raises:
            ConflictError: Readings arrived meanwhile; safe to repeat.
            UnavailableError: The store does not answer.
        """
        if self._budget.budget_s < CLOCK_RESOLUTION_S * self._clock.speed(tenant):
            return 0
        now_us = to_us(self._clock.plant_now(tenant))
        oldest_us = now_us - round(self._budget.budget_s * US)
        found = await self._store.silence_candidates(tenant, before_us=oldest_us, limit=MAX_AT_ONCE)
        return await self._mark(tenant, found, oldest_us) if found else 0

    async def _mark(self, tenant: Tenant, found: list[AssetId], oldest_us: int) -> int:
        async with self._bench.opened() as bench:
            twins = await bench.twins(tenant, found)
            changes = [
                self._silenced(twin, oldest_us)
                for twin in twins.values()
                if twin.silent_us is None and twin.oldest_us < oldest_us
            ]
            if changes:
                await bench.save(changes)
            return len(changes)

    def _silenced(self, twin: AssetTwin, oldest_us: int) -> Change:
        since_us = twin.oldest_us + round(self._budget.budget_s * US)
        twin.silent_us = since_us
        late = sorted(
            s.name
            for s in twin.profile.mandatory
            if s != twin.profile.mode
            and (s.name not in twin.seen or twin.seen[s.name].observed_us < oldest_us)
        )
        reasons = tuple(
            Reason("STALE_INPUT" if name in twin.seen else "ABSENT_INPUT", name) for name in late
        )
        held = twin.evaluation.condition
        silent = Condition(
            state=State.UNKNOWN,
            from_us=since_us,
            reasons=reasons,
            configuration_id=held.configuration_id if held else "",
            model_version=held.model_version if held else "",
            work_item_id=held.work_item_id if held else "",
        )
        change = Change(twin=twin)
        change.rewrites.append(ConditionRewrite(Axis.FRESHNESS, since_us, (silent,)))
        change.announcements.append(
            StateAnnouncement(
                previous=held.state if held else None,
                current=State.UNKNOWN,
                at_us=since_us,
                reasons=reasons,
                configuration_id=silent.configuration_id,
                model_version=silent.model_version,
                work_item_id=silent.work_item_id,
            )
        )
        return change
