"""What versions do on live events: kept, judged, acted upon, shown."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from governance.decide import rulings as ruled
from governance.decide.drift import (
    Drift,
    DriftRule,
    RollbackRule,
    Side,
    error_figures,
    residual_figures,
    watch,
)
from governance.decide.promotion import Promotion, PromotionRule, judge
from governance.decide.releases import predecessor
from governance.model.contracts import Version
from governance.model.releases import ModelName, ModelVersion
from governance.model.shadow import (
    MeasuredWindow,
    RetrainingRequest,
    Ruling,
)
from governance.ports import Registry, ShadowStore
from twinmesh_sdk.core.errors import NotFoundError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

READ_ROLE: Final = "read"
FORGET_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class Rules:
    """By what versions are judged.

    Attributes:
        automatic: Versions are changed by rulings; otherwise rulings are recorded and told.
    """

    promotion: PromotionRule = field(default_factory=PromotionRule)
    drift: DriftRule = field(default_factory=DriftRule)
    rollback: RollbackRule = field(default_factory=RollbackRule)
    automatic: bool = True


class RecordMeasured:
    """Keep the windows that twins measured; the same window again changes nothing."""

    def __init__(self, store: ShadowStore) -> None:
        self._store = store

    async def __call__(self, windows: Sequence[MeasuredWindow]) -> None:
        """Keep them.

        Raises:
            UnavailableError: The store does not answer; safe to repeat.
        """
        await self._store.add(windows)


class Watchman:
    """Sets the figures of the active version against what was learned."""

    def __init__(self, store: ShadowStore, rule: DriftRule) -> None:
        self._store = store
        self._rule = rule

    async def look(
        self, tenant: Tenant, model: ModelVersion, others: Sequence[ModelVersion]
    ) -> tuple[Drift, Drift]:
        """Return whether what a version meets, and how it errs, has drifted since it is active.

        The level is that of the version before it, where enough was measured of that: a version
        that errs more from its first hour would otherwise teach what is normal itself.
        """
        assert model.activation is not None
        start, rule = model.activation.effective_from, self._rule
        mine = ruled.settled_measurements(
            await self._store.measurements(tenant, model.name, model.version, since=start)
        )
        before = predecessor(model, others)
        earlier = (
            await self._store.last_measurements(
                tenant, model.name, before.version, before=start, windows=rule.learned_windows
            )
            if before is not None
            else []
        )
        enough = len({m.from_at for m in earlier}) >= rule.learned_windows

        def both() -> tuple[Drift, Drift]:
            residuals = watch(
                residual_figures(mine),
                rule,
                learned_from=residual_figures(earlier) if enough else None,
            )
            errors = watch(
                error_figures(mine),
                rule,
                side=Side.UP,
                learned_from=error_figures(earlier) if enough else None,
            )
            return residuals, errors

        return await asyncio.to_thread(both)


async def judged(
    store: ShadowStore,
    rule: PromotionRule,
    tenant: Tenant,
    challenger: ModelVersion,
    champion: ModelVersion,
) -> Promotion:
    """Return what a tenant's figures say about a challenger, in the champion's tenure."""
    assert champion.activation is not None
    compared = await store.comparisons(
        tenant, challenger.name, challenger.version, champion.version
    )
    settled = ruled.settled(compared, since=champion.activation.effective_from)
    return await asyncio.to_thread(judge, settled, rule)


@dataclass(frozen=True, slots=True)
class ShadowView:
    """How a version does on live events.

    Attributes:
        against: By champion that is active: what the figures say.
        drift: Of an active version: of what it meets, and of how it errs.
    """

    against: tuple[tuple[Version, Promotion], ...] = ()
    drift: tuple[Drift, Drift] | None = None
    rulings: tuple[Ruling, ...] = ()


class ReadShadows:
    """Show how versions do on live events, of the caller's tenant."""

    def __init__(self, registry: Registry, store: ShadowStore, clock: Clock, rules: Rules) -> None:
        self._registry = registry
        self._store = store
        self._clock = clock
        self._rules = rules
        self._watchman = Watchman(store, rules.drift)

    async def view(self, principal: Principal, name: ModelName, version: Version) -> ShadowView:
        """Return figures and rulings about a version.

        Raises:
            ForbiddenError: The caller may not read.
            NotFoundError: No such version.
        """
        principal.require(READ_ROLE)
        tenant = principal.tenant
        async with self._registry.snapshot() as session:
            versions = await session.models(str(name))
            past = await session.rulings(str(name))
        model = next((m for m in versions if m.version == version), None)
        if model is None:
            raise NotFoundError(f"no model {name} {version}")
        others = [m for m in versions if m.version != version]
        active = ruled.in_force(versions, self._clock.plant_now(tenant))
        against = [
            (
                champion.version,
                await judged(self._store, self._rules.promotion, tenant, model, champion),
            )
            for champion in active
            if model in ruled.challengers_of(champion, versions)
        ]
        drift = await self._watchman.look(tenant, model, others) if model in active else None
        mine = (r for r in past if r.tenant == tenant and r.version == version)
        return ShadowView(tuple(against), drift, tuple(mine))

    async def retrainings(self, principal: Principal, name: str = "") -> list[RetrainingRequest]:
        """Return the requests to retrain, the newest first; of one model when named.

        Raises:
            ForbiddenError: The caller may not read.
        """
        principal.require(READ_ROLE)
        async with self._registry.snapshot() as session:
            found = await session.retrainings(name or None)
        return [request for request in found if request.tenant == principal.tenant]


class ForgetMeasured:
    """Forget windows after a time: rulings stay."""

    def __init__(self, store: ShadowStore, clock: Clock, *, kept: timedelta) -> None:
        self._store = store
        self._clock = clock
        self._kept = kept

    async def __call__(self) -> int:
        """Forget a bounded number of what is older than is kept; returns how many."""
        before = self._clock.wall_now() - self._kept
        return await self._store.forget(before=before, limit=FORGET_AT_ONCE)
