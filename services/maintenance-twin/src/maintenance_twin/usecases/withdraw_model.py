"""Follow the recall of a model version."""

from collections.abc import Sequence
from typing import Final

from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis, Condition, State
from maintenance_twin.ports import Change, ConditionRewrite, TwinStore, Withdrawal
from maintenance_twin.usecases.facts import announcement
from maintenance_twin.usecases.workbench import Workbench
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.trust import Reason

AT_ONCE: Final = 100
MAX_ROUNDS: Final = 10_000


class WithdrawModel:
    """Let a model version decide nothing more, and mark what it said.

    Open work items that it opened become WITHDRAWN. Conditions that it decided become UNKNOWN
    until another version decides the next row. What is closed, and what was held before, is kept.
    What was building up towards an item is forgotten; what was learned about health stays, for it
    says what readings said.
    """

    def __init__(self, store: TwinStore, bench: Workbench) -> None:
        self._store = store
        self._bench = bench

    async def __call__(self, withdrawal: Withdrawal) -> int:
        """Withdraw; returns how many assets changed. Repeating it changes nothing.

        Once the store has withdrawn the version, no decision of it can be saved any more: what is
        found afterwards is all there is.

        Raises:
            ConflictError: Another process moves the same assets; safe to repeat.
            UnavailableError: The store does not answer; safe to repeat.
        """
        await self._store.withdraw(withdrawal)
        changed = 0
        for _ in range(MAX_ROUNDS):
            found = await self._store.decided_by(withdrawal.version, limit=AT_ONCE)
            marked = 0
            for tenant in dict.fromkeys(tenant for tenant, _ in found):
                mine = [asset_id for other, asset_id in found if other == tenant]
                marked += await self._mark(tenant, mine, withdrawal)
            if not marked:
                break
            changed += marked
        return changed

    async def _mark(
        self, tenant: Tenant, asset_ids: Sequence[AssetId], withdrawal: Withdrawal
    ) -> int:
        async with self._bench.opened() as bench:
            twins = await bench.twins(tenant, asset_ids)
            changes = [_withdrawn(twin, withdrawal) for twin in twins.values()]
            changes = [change for change in changes if change.items or change.rewrites]
            if changes:
                await bench.save(changes)
            return len(changes)


def _withdrawn(twin: AssetTwin, withdrawal: Withdrawal) -> Change:
    at, change = twin.evaluation, Change(twin=twin)
    reason = f"model version {withdrawal.version} was recalled: {withdrawal.reason}"
    if at.item is not None and at.item.model_version == withdrawal.version:
        change.items.append(at.item.withdrawn(reason))
        at.item = None
        for _, chart in at.charts.values():
            chart.resume(at.last_us)
    held = at.condition
    if held is None or not (change.items or held.model_version == withdrawal.version):
        return change
    at.condition = Condition(
        state=State.UNKNOWN,
        from_us=max(at.last_us + 1, held.from_us),
        reasons=(Reason("MODEL_RECALLED", withdrawal.version, withdrawal.reason),),
        configuration_id=held.configuration_id,
    )
    change.rewrites.append(ConditionRewrite(Axis.CONDITION, at.condition.from_us, (at.condition,)))
    if twin.silent_us is None:
        change.announcements.append(announcement(at.condition, held.state))
    return change
