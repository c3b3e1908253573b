"""Take into account what became known late: a configuration, an operating mode."""

import asyncio
from collections.abc import Sequence
from typing import Final

from maintenance_twin.decide.evaluate import Context, Evaluator
from maintenance_twin.decide.revise import (
    Cause,
    Revision,
    revise,
    revision_start,
    with_context,
)
from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.model.configuration import Configurations
from maintenance_twin.model.release import Releases
from maintenance_twin.model.row import Reading, Row
from maintenance_twin.model.tuning import Tuning
from maintenance_twin.ports import (
    AssetDirectory,
    Change,
    ConditionRewrite,
    ModelRelease,
    TwinStore,
)
from maintenance_twin.usecases.facts import add_facts, announcement
from maintenance_twin.usecases.workbench import Workbench
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.trust import Reason

MAX_RECALLED_ROWS: Final = 200_000
"""Rows decided again for a late operating mode: two days at 1 Hz, some seconds of work."""


async def revised(
    store: TwinStore, twin: AssetTwin, configurations: Configurations, context: Context
) -> Change | None:
    """Return what a corrected configuration history changes; None where nothing.

    The twin is changed with it. Only what was decided under a version that turned out to be
    another one is decided again, from the rows as they were decided the first time.
    """
    evaluation = twin.evaluation
    from_us = revision_start(evaluation.configurations, configurations, evaluation.last_us)
    evaluation.configurations = configurations
    if from_us is None or not evaluation.last_us:
        return None
    rows = await _rows(store, twin, from_us)
    known = await store.items_from(twin.tenant, twin.asset_id, from_us)
    if rows is None:
        return _undecidable(twin, from_us, known_items=bool(known))
    revision = await asyncio.to_thread(
        revise,
        profile=twin.profile,
        configurations=configurations,
        rows=rows,
        from_us=from_us,
        known=known,
        context=context,
        mode=evaluation.mode if evaluation.mode_us < from_us else "",
        mode_us=evaluation.mode_us if evaluation.mode_us < from_us else 0,
        cause=Cause.configuration(configurations.at(from_us).configuration_id),
    )
    return _change(twin, revision)


async def recalled(
    store: TwinStore, twin: AssetTwin, late: Sequence[Reading], context: Context
) -> Change | None:
    """Return what a late operating mode changes; None where nothing.

    The twin is changed with it. Everything since the start of the configuration version in which
    the mode was missing is decided again: what was learned then depends on it. Where those rows
    are gone, or too many, what was said stands.
    """
    evaluation, mode = twin.evaluation, twin.profile.mode
    if mode is None or not late:
        return None
    first_us = min(reading.observed_us for reading in late)
    from_us = evaluation.configurations.at(first_us).from_us
    rows = await _rows(store, twin, from_us)
    if rows is None or len(rows) > MAX_RECALLED_ROWS:
        return None
    column = twin.profile.signals.index(mode)
    completed = with_context(rows, late, column=column, row_us=twin.profile.row_us)
    if not completed:
        return None
    fresh = {row.t_us: row for row in completed}
    revision = await asyncio.to_thread(
        revise,
        profile=twin.profile,
        configurations=evaluation.configurations,
        rows=[fresh.get(row.t_us, row) for row in rows],
        from_us=from_us,
        known=await store.items_from(twin.tenant, twin.asset_id, from_us),
        context=context,
        mode="",
        mode_us=0,
        cause=Cause.context(mode.name),
    )
    twin.unlogged = [fresh.get(row.t_us, row) for row in twin.unlogged]
    change = _change(twin, revision)
    change.completed = completed
    return change


async def _rows(store: TwinStore, twin: AssetTwin, from_us: int) -> Sequence[Row] | None:
    logged = await store.rows(twin.tenant, twin.asset_id, from_us)
    if logged is None:
        return None
    last_us = logged[-1].t_us if logged else 0
    return [*logged, *(r for r in twin.unlogged if r.t_us >= from_us and r.t_us > last_us)]


def _change(twin: AssetTwin, revision: Revision) -> Change:
    before = twin.evaluation.condition
    twin.evaluation = revision.evaluation
    twin.window.forget()
    change = Change(twin=twin)
    change.rewrites.append(ConditionRewrite(Axis.CONDITION, revision.from_us, revision.conditions))
    change.items += [
        *revision.superseded,
        *revision.closed,
        *revision.changed,
        *revision.opened,
    ]
    after = revision.evaluation.condition
    if after is None or before is None or after.state is before.state:
        return change
    if twin.silent_us is None:
        change.announcements.append(announcement(after, before.state))
    return change


def _undecidable(twin: AssetTwin, from_us: int, *, known_items: bool) -> Change:
    """Return the change where the rows are gone: what was said no longer stands on anything."""
    evaluation = twin.evaluation
    span = evaluation.configurations.at(evaluation.last_us)
    detail = "work items of the time stand as first answered" if known_items else ""
    condition = Condition(
        state=State.UNKNOWN,
        from_us=from_us,
        reasons=(Reason("ROWS_PRUNED", span.configuration_id, detail),),
        configuration_id=span.configuration_id,
        model_version=_last_version(twin),
    )
    change = Change(twin=twin)
    change.rewrites.append(ConditionRewrite(Axis.CONDITION, from_us, (condition,)))
    evaluation.condition = condition
    return change


class ReviseHistory:
    """Follow what the registry now says about an asset's configuration versions."""

    def __init__(
        self,
        store: TwinStore,
        bench: Workbench,
        directory: AssetDirectory,
        release: ModelRelease,
        tuning: Tuning,
    ) -> None:
        self._store = store
        self._bench = bench
        self._directory = directory
        self._release = release
        self._tuning = tuning

    async def __call__(
        self, tenant: Tenant, asset_id: AssetId, *, traceparent: str = ""
    ) -> Change | None:
        """Decide again what the registry's history changes; doing it twice changes nothing.

        Raises:
            ConflictError: Another process saved the twin meanwhile; safe to repeat.
            UnavailableError: The registry or the store does not answer.
        """
        async with self._bench.opened() as bench:
            twin = (await bench.twins(tenant, [asset_id])).get(asset_id)
            if twin is None:
                return None
            releases = self._release.releases_for(twin.profile.asset_class) or Releases()
            context = Context(tenant, releases, self._tuning)
            known = await self._directory.configurations(tenant, [asset_id])
            configurations = known.get(asset_id, Configurations())
            change = await revised(self._store, twin, configurations, context)
            if change is None:
                evaluator = Evaluator(twin.evaluation, context)
                facts = evaluator.reconfigure(twin.alignment.newest_us)
                change = Change(twin=twin)
                add_facts(change, facts)
            change.traceparent = traceparent
            change.models = releases.versions
            await bench.save([change])
            return change


def _last_version(twin: AssetTwin) -> str:
    """Return the model version that decided last; empty where none did."""
    condition = twin.evaluation.condition
    return condition.model_version if condition else ""
