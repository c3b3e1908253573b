"""What follows from figures for a version: who challenges whom, who may fall, who is retrained."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from governance.decide.drift import Drift, Drifting, Learning, Tenure
from governance.decide.promotion import Continue, Promotion, Reject
from governance.decide.releases import predecessor
from governance.model.releases import ModelState, ModelVersion
from governance.model.shadow import (
    ComparedWindow,
    RetrainingId,
    RetrainingRequest,
    Ruling,
    RulingKind,
    WindowFigures,
)
from twinmesh_sdk.core.ids import Tenant, derived_id
from twinmesh_sdk.core.times import to_us

_ENDED = (ModelState.RETIRED, ModelState.RECALLED)


def in_force(models: Iterable[ModelVersion], now: datetime) -> list[ModelVersion]:
    """Return the versions that decide at a plant time, each for its scope."""
    return [
        m
        for m in models
        if m.state is ModelState.ACTIVE and m.activation is not None and m.activation.covers(now)
    ]


def challengers_of(champion: ModelVersion, models: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Return the shadows that could take a version's place: those of the same scope."""
    return [m for m in models if m.state is ModelState.SHADOW and m.scope == champion.scope]


T = TypeVar("T", ComparedWindow, WindowFigures)


def settled(windows: Sequence[T]) -> Sequence[T]:
    """Return windows, in order, without the last: some of it may yet arrive."""
    return windows[:-1]


def tenure_of(
    model: ModelVersion, others: Sequence[ModelVersion], rulings: Iterable[Ruling]
) -> Tenure:
    """Return an active version's time in office, and what is known of the one before it."""
    assert model.activation is not None
    before = predecessor(model, others)
    falls = [
        r
        for r in rulings
        if r.model == model.name and r.kind is RulingKind.ROLLED_BACK and r.carried_out
    ]
    can_return = before is not None and before.state not in _ENDED
    return Tenure(
        active_from=model.activation.effective_from,
        previous=str(before.version) if before is not None and can_return else "",
        previous_fell=before is not None and any(r.version == before.version for r in falls),
        last_rollback=max((r.at for r in falls), default=None),
    )


def agreed(by_tenant: dict[Tenant, Promotion]) -> tuple[Tenant, Promotion] | None:
    """Return what all tenants' figures decide together, and whose came last; None while undecided.

    A model is one for all tenants: it is promoted when all promote it, and rejected when one does.
    """
    for tenant, outcome in sorted(by_tenant.items()):
        if isinstance(outcome, Reject):
            return tenant, outcome
    decided = {t: o for t, o in by_tenant.items() if not isinstance(o, Continue)}
    if not decided or len(decided) < len(by_tenant):
        return None
    last = max(decided, key=lambda t: (decided[t].at, t))
    return last, decided[last]


def retraining_of(
    model: ModelVersion, tenant: Tenant, residuals: Drift, *, recorded_at: datetime
) -> RetrainingRequest | None:
    """Return the request that drift opens; None while nothing drifts. One per tenure, ever."""
    if not isinstance(residuals, Drifting) or model.activation is None:
        return None
    tenure = model.activation.effective_from
    return RetrainingRequest(
        id=RetrainingId(derived_id("rtr", tenant, model.name, str(model.version), to_us(tenure))),
        tenant=tenant,
        model=model.name,
        version=model.version,
        tenure=tenure,
        since=residuals.since,
        noticed_at=residuals.noticed_at,
        recorded_at=recorded_at,
        sum=residuals.sum,
    )


def sums_of(residuals: Drift, errors: Drift) -> dict[str, float]:
    """Return the sums that speak about a version."""
    found = {}
    for name, drift in (("residual_sum", residuals), ("error_sum", errors)):
        if not isinstance(drift, Learning):
            found[name] = drift.sum
    return found
