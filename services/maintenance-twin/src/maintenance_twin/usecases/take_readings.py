"""Take readings into account, as telemetry publishes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from maintenance_twin.decide.evaluate import Context, WorkItemOpened
from maintenance_twin.decide.twin import AssetTwin, alignment_of, new_twin, take
from maintenance_twin.model.condition import Axis
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.release import Releases
from maintenance_twin.model.row import Reading
from maintenance_twin.model.signal import Profile
from maintenance_twin.model.tuning import US, Tuning
from maintenance_twin.ports import (
    AssetDirectory,
    Change,
    ConditionRewrite,
    ModelRelease,
    TwinStore,
)
from maintenance_twin.usecases.facts import add_facts, announcement
from maintenance_twin.usecases.revise_history import recalled, revised
from maintenance_twin.usecases.workbench import Workbench
from twinmesh_sdk.core.errors import PreconditionFailedError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class AssetReadings:
    """Readings of one asset, in the order of the stream."""

    tenant: Tenant
    asset_id: AssetId
    readings: Sequence[Reading]


class TakeReadings:
    """Move twins forward by a batch of readings."""

    def __init__(
        self,
        *,
        store: TwinStore,
        bench: Workbench,
        directory: AssetDirectory,
        release: ModelRelease,
        clock: Clock,
        budget: Budget,
        tuning: Tuning,
    ) -> None:
        self._store = store
        self._bench = bench
        self._directory = directory
        self._release = release
        self._clock = clock
        self._budget = budget
        self._tuning = tuning

    async def __call__(self, batch: Sequence[AssetReadings]) -> Sequence[Change]:
        """Take a batch into account; taking it again changes nothing.

        The registry is asked about configurations with every batch, so a version that was
        recorded before its readings were sent is never overlooked. Readings of assets that the
        model does not understand are passed over.

        Raises:
            PreconditionFailedError: No version of the model was released yet; the readings wait.
            ConflictError: Another process took readings of these assets; safe to repeat.
            UnavailableError: The registry or the store does not answer; safe to repeat.
        """
        changes: list[Change] = []
        async with self._bench.opened() as bench:
            for tenant, per_asset in _by_tenant(batch).items():
                changes += await self._take(bench, tenant, per_asset)
            if changes:
                await bench.save(changes)
                changes += await self._recall(bench, changes)
        return changes

    async def _recall(self, bench: Workbench, changes: Sequence[Change]) -> list[Change]:
        """Decide again where an operating mode arrived late.

        Saved after the readings: dying in between, their repeat finds the mode late again.
        """
        revised_ones = []
        for change in changes:
            twin = change.twin
            late, twin.alignment.overtaken = twin.alignment.overtaken, []
            context = self._context(twin.tenant, twin.profile, self._releases(twin.profile))
            again = await recalled(self._store, twin, late, context)
            if again is not None:
                again.traceparent = late[-1].trace
                again.models = context.models.versions
                revised_ones.append(again)
        if revised_ones:
            await bench.save(revised_ones)
        return revised_ones

    def _context(self, tenant: Tenant, profile: Profile, releases: Releases) -> Context:
        return Context(
            tenant,
            releases,
            self._tuning,
            self._budget.decision,
            self._budget.budget_s,
            self._release.shadows_for(profile.asset_class),
        )

    async def _take(
        self, bench: Workbench, tenant: Tenant, per_asset: Mapping[AssetId, list[Reading]]
    ) -> list[Change]:
        profiles = await self._directory.profiles(tenant, per_asset.keys())
        modelled = {a: profiles[a] for a in per_asset if a in profiles and profiles[a].modelled}
        releases = {a: self._releases(profile) for a, profile in modelled.items()}
        if not modelled:
            return []
        configurations = await self._directory.configurations(tenant, modelled.keys())
        twins = await bench.twins(tenant, modelled.keys())
        changes = []
        for asset_id, profile in modelled.items():
            known = configurations.get(asset_id, Configurations())
            twin = twins.get(asset_id) or new_twin(tenant, profile, known, self._tuning)
            context = self._context(tenant, profile, releases[asset_id])
            changes.append(await self._move(twin, profile, known, per_asset[asset_id], context))
        return changes

    def _releases(self, profile: Profile) -> Releases:
        found = self._release.releases_for(profile.asset_class)
        if found is None:
            raise PreconditionFailedError(
                "no version of the condition model is released yet for "
                f"{profile.asset_class or 'this asset class'}",
                hint="have one approved: `twinmesh model approve`",
            )
        return found

    async def _move(
        self,
        twin: AssetTwin,
        profile: Profile,
        configurations: Configurations,
        readings: Sequence[Reading],
        context: Context,
    ) -> Change:
        change = await revised(self._store, twin, configurations, context) or Change(twin=twin)
        if twin.profile != profile:
            _redefine(twin, profile, self._tuning)
        facts = take(twin, readings, context)
        add_facts(change, facts)
        change.measured, twin.measured = twin.measured, []
        change.models = context.models.versions
        opened = [f.item for f in facts if isinstance(f, WorkItemOpened)]
        change.traceparent = opened[-1].trace_id if opened else readings[-1].trace
        self._hear_again(change)
        return change

    def _hear_again(self, change: Change) -> None:
        """End the silence of an asset whose mandatory inputs are young enough again.

        It lasted until now, for until now nothing could be said; readings that were held up on
        the way fill the history, not the silence.
        """
        twin = change.twin
        if twin.silent_us is None:
            return
        now_us = to_us(self._clock.plant_now(twin.tenant))
        if now_us - twin.oldest_us > self._budget.budget_s * US:
            return
        heard_us = max(twin.silent_us, now_us)
        twin.silent_us = None
        change.rewrites.append(ConditionRewrite(Axis.FRESHNESS, heard_us, ()))
        condition = twin.evaluation.condition
        if condition is not None:
            told = announcement(condition, None)
            change.announcements.append(told.heard(heard_us))


def _redefine(twin: AssetTwin, profile: Profile, tuning: Tuning) -> None:
    """Begin again with other signals: a baseline holds for the signals that taught it."""
    old, fresh = twin.alignment, alignment_of(profile, tuning)
    fresh.closed_us, fresh.newest_us, fresh.late = old.closed_us, old.newest_us, old.late
    twin.alignment = fresh
    twin.unlogged = []
    evaluation = twin.evaluation
    evaluation.profile = profile
    evaluation.charts, evaluation.learning = {}, {}
    twin.window.forget()


def _by_tenant(batch: Sequence[AssetReadings]) -> dict[Tenant, dict[AssetId, list[Reading]]]:
    grouped: dict[Tenant, dict[AssetId, list[Reading]]] = {}
    for part in batch:
        if part.readings:
            grouped.setdefault(part.tenant, {}).setdefault(part.asset_id, []).extend(part.readings)
    return grouped
