"""Answer what is held about assets, as of and as known at the times of the request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis, Condition, State, effective
from maintenance_twin.model.configuration import NO_CONFIGURATION
from maintenance_twin.model.tuning import US
from maintenance_twin.model.work_item import Status, WorkItem
from maintenance_twin.ports import Held, ItemFilter, ModelRelease, TwinReads, TwinStore
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import ReadTime, from_us
from twinmesh_sdk.core.trust import (
    Budget,
    Quality,
    Reason,
    Trust,
    Verdict,
    combine,
    freshness,
)
from twinmesh_sdk.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class ItemAnswer:
    """A work item with the trust that it deserves at the times of the request.

    Attributes:
        seen_us: Of an open item asked about now: the asset's last reading, UTC microseconds. The
            degradation is known to last until there, and no further.
    """

    held: Held[WorkItem]
    trust: Trust
    seen_us: int | None = None

    @property
    def item(self) -> WorkItem:
        """The work item."""
        return self.held.value


@dataclass(frozen=True, slots=True)
class ConditionAnswer:
    """What may be said about an asset."""

    asset_id: AssetId
    condition: Condition
    trust: Trust
    held: Held[Condition]


class _Inputs:
    """Judges the inputs of twins at the times of a request."""

    def __init__(self, clock: Clock, budget: Budget, tenant: Tenant, at: ReadTime) -> None:
        self._speed = clock.speed(tenant)
        self._budget = budget
        self._at = at

    @property
    def live(self) -> bool:
        """Whether the question is about now, as known now: then the clock judges."""
        return self._at.known_at is None and self._at.as_of >= self._at.now - timedelta(seconds=1)

    @property
    def as_of_us(self) -> int:
        """The plant time asked about."""
        return self._at.as_of_us

    def trust(self, twin: AssetTwin) -> Trust:
        """Return the worst trust over the twin's mandatory inputs, by the clock."""
        mode = twin.profile.mode
        return combine(
            self._of_signal(twin, s.name, s.cadence_s) for s in twin.profile.mandatory if s != mode
        )

    def _of_signal(self, twin: AssetTwin, name: str, cadence_s: float) -> Trust:
        seen = twin.seen.get(name)
        observed = None if seen is None else from_us(seen.observed_us)
        verdict = freshness(
            observed_at=observed,
            now=self._at.now,
            cadence_s=cadence_s,
            budget_s=self._budget.budget_s,
            speed=self._speed,
        )
        reasons: tuple[Reason, ...] = ()
        if verdict in (Verdict.STALE, Verdict.ABSENT):
            reasons = (Reason(f"{verdict.value}_INPUT", name),)
        return Trust(
            verdict=verdict,
            quality=Quality.GOOD if seen is None else Quality(min(seen.severity, 2)),
            status_code=0 if seen is None else seen.severity << 30,
            observed_at=observed,
            arrived_at=None if seen is None else from_us(seen.arrived_us),
            decision=self._budget.decision,
            budget_s=self._budget.budget_s,
            age_s=None if observed is None else max(0.0, (self._at.now - observed).total_seconds()),
            reasons=reasons,
        )


class ReadWorkItems:
    """Answer about work items."""

    def __init__(self, store: TwinStore, reads: TwinReads, clock: Clock, budget: Budget) -> None:
        self._store = store
        self._reads = reads
        self._clock = clock
        self._budget = budget

    async def get(
        self, tenant: Tenant, item_ids: Collection[str], at: ReadTime
    ) -> dict[str, ItemAnswer]:
        """Return work items by id; unknown ones, and another tenant's, are left out."""
        found = await self._reads.items(tenant, item_ids, at)
        answers = await self._answers(tenant, list(found.values()), at)
        return {answer.item.work_item_id: answer for answer in answers}

    async def page(
        self,
        tenant: Tenant,
        wanted: ItemFilter,
        at: ReadTime,
        *,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[ItemAnswer]:
        """Return work items, the last opened first."""
        found = await self._reads.list_items(tenant, wanted, at, after=after, limit=limit)
        return await self._answers(tenant, found, at)

    async def by_asset(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime, *, per_asset: int
    ) -> dict[AssetId, list[ItemAnswer]]:
        """Return each asset's last work items, in one call to the store for all of them."""
        found = await self._reads.items_by_asset(tenant, asset_ids, at, per_asset=per_asset)
        answers = await self._answers(tenant, [h for held in found.values() for h in held], at)
        grouped: dict[AssetId, list[ItemAnswer]] = {}
        for answer in answers:
            grouped.setdefault(answer.item.asset_id, []).append(answer)
        return grouped

    async def _answers(
        self, tenant: Tenant, held: Sequence[Held[WorkItem]], at: ReadTime
    ) -> list[ItemAnswer]:
        """Give open items the trust of their inputs now: stale is contagious."""
        inputs = _Inputs(self._clock, self._budget, tenant, at)
        live = {h.value.asset_id for h in held if h.value.status is Status.OPEN}
        twins = await self._store.load(tenant, live) if inputs.live and live else {}
        answers = []
        for one in held:
            item, twin = one.value, twins.get(one.value.asset_id)
            trust, seen_us = item.trust, None
            if item.status is Status.OPEN and twin is not None:
                seen_us = max((seen.observed_us for seen in twin.seen.values()), default=None)
                trust = _stamped(
                    combine([inputs.trust(twin), replace(trust, verdict=Verdict.UNASSESSED)]), item
                )
            answers.append(ItemAnswer(one, trust, seen_us))
        return answers


def _stamped(trust: Trust, item: WorkItem) -> Trust:
    return replace(
        trust,
        configuration_version=item.configuration_id,
        model_version=item.model_version,
    )


class ReadConditions:
    """Answer what may be said about assets."""

    def __init__(
        self,
        store: TwinStore,
        reads: TwinReads,
        release: ModelRelease,
        clock: Clock,
        budget: Budget,
    ) -> None:
        self._store = store
        self._reads = reads
        self._release = release
        self._clock = clock
        self._budget = budget

    async def __call__(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime
    ) -> dict[AssetId, ConditionAnswer]:
        """Return the conditions of the assets that have a twin here."""
        held = await self._reads.conditions(tenant, asset_ids, at)
        inputs = _Inputs(self._clock, self._budget, tenant, at)
        twins = await self._store.load(tenant, held.keys()) if inputs.live and held else {}
        answers = {}
        for asset_id, axes in held.items():
            condition = axes.get(Axis.CONDITION)
            if condition is None:
                continue
            twin = twins.get(asset_id)
            answers[asset_id] = (
                self._live(twin, inputs, condition)
                if twin is not None
                else self._past(asset_id, condition, axes.get(Axis.FRESHNESS), at)
            )
        return answers

    def _live(self, twin: AssetTwin, inputs: _Inputs, held: Held[Condition]) -> ConditionAnswer:
        trust = inputs.trust(twin)
        unfit = trust.reasons
        releases = self._release.releases_for(twin.profile.asset_class)
        span = twin.evaluation.span
        configuration_id = span.configuration_id if span else NO_CONFIGURATION
        if releases is None:
            unfit += (Reason("MODEL_NOT_ACTIVE"),)
        elif releases.at(inputs.as_of_us, configuration_id) is None:
            unfit += (releases.abstention(inputs.as_of_us, configuration_id),)
        condition = effective(held.value, stale=unfit) or held.value
        trust = replace(
            trust.because(*condition.reasons),
            configuration_version=condition.configuration_id,
            model_version=condition.model_version,
        )
        if condition.state is State.UNKNOWN:
            trust = trust.degraded(Quality.UNCERTAIN)
        return ConditionAnswer(twin.asset_id, condition, trust, held)

    def _past(
        self,
        asset_id: AssetId,
        held: Held[Condition],
        silence: Held[Condition] | None,
        at: ReadTime,
    ) -> ConditionAnswer:
        stale = silence.value.reasons if silence is not None else ()
        condition = effective(held.value, stale=stale) or held.value
        as_of_us = at.as_of_us
        observed_us = as_of_us
        if silence is not None:
            observed_us = silence.valid_from_us - round(self._budget.budget_s * US)
        trust = Trust(
            verdict=Verdict.FRESH if silence is None else Verdict.STALE,
            quality=Quality.UNCERTAIN if condition.state is State.UNKNOWN else Quality.GOOD,
            observed_at=from_us(observed_us),
            decision=self._budget.decision,
            budget_s=self._budget.budget_s,
            age_s=(as_of_us - observed_us) / US,
            configuration_version=condition.configuration_id,
            model_version=condition.model_version,
            reasons=condition.reasons,
        )
        return ConditionAnswer(asset_id, condition, trust, held)
