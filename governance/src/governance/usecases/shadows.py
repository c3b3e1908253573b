"""What versions do on live events: kept, judged, acted upon, shown."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from governance.decide import drift, promotion
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
from governance.decide.promotion import Promotion, PromotionRule, judge_windows
from governance.decide.releases import predecessor
from governance.model.contracts import Version
from governance.model.releases import ModelName, ModelVersion
from governance.model.shadow import (
    ComparedWindow,
    MeasuredWindow,
    RetrainingRequest,
    Ruling,
    WindowFigures,
)
from governance.ports import Registry, ReplicaBoard, ShadowStore
from governance.ports.shadows import Measured
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import NotFoundError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

log = logging.getLogger(__name__)

CONTRACTS_KEPT_S: Final = 5.0
MEASURED_TYPE: Final = ".model.measured.v1"
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


class Runners:
    """Knows whose figures count about a model: those of the services that say they run it.

    A service is told by its heartbeats, and its events by its contract; permissions bind both to
    it. What was known stays known while a service is silent.
    """

    def __init__(self, registry: Registry, board: ReplicaBoard) -> None:
        self._registry = registry
        self._board = board
        self._known: dict[str, set[str]] = {}
        self._found: dict[str, tuple[frozenset[str], float, frozenset[str]]] = {}

    async def domains(self, model: ModelName) -> frozenset[str]:
        """Return the domains of the services that run a model; contracts are read now and then."""
        services = self._known.setdefault(str(model), set())
        services |= {b.service for b in self._board.heartbeats() if str(model) in b.running}
        now, wanted = asyncio.get_running_loop().time(), frozenset(services)
        held = self._found.get(str(model))
        if held is not None and held[0] == wanted and now < held[1]:
            return held[2]
        mesh, _ = await self._registry.read()
        active = mesh.active()
        found = frozenset(
            event.type.split(".", 1)[0]
            for service in wanted & active.keys()
            for event in active[service].bundle.events
            if event.type.endswith(MEASURED_TYPE)
        )
        self._found[str(model)] = (wanted, now + CONTRACTS_KEPT_S, found)
        return found


class Figures:
    """What was measured of versions, by those who run them."""

    def __init__(self, store: ShadowStore, runners: Runners) -> None:
        self._store = store
        self._runners = runners

    async def models(self) -> list[tuple[Tenant, ModelName]]:
        """Return whose models were measured."""
        return await self._store.measured()

    async def compared(
        self, tenant: Tenant, challenger: ModelVersion, champion: ModelVersion
    ) -> Sequence[ComparedWindow]:
        """Return a challenger's windows in the champion's tenure, those that are whole."""
        assert champion.activation is not None
        since = champion.activation.effective_from
        of = await self._measured(tenant, champion)
        found = await self._store.compared(
            of, challenger.version, since=since, limit=promotion.MAX_WINDOWS + 1
        )
        return ruled.settled(found)

    async def since_active(
        self, tenant: Tenant, model: ModelVersion, *, first: int = 0
    ) -> Sequence[WindowFigures]:
        """Return a version's last windows since it is active, those that are whole.

        Args:
            first: Return so many of the first windows instead.
        """
        assert model.activation is not None
        since = model.activation.effective_from
        of = await self._measured(tenant, model)
        if first:
            return await self._store.figures(of, since=since, first=True, limit=first)
        return ruled.settled(
            await self._store.figures(of, since=since, limit=drift.MAX_WINDOWS + 1)
        )

    async def last_of(
        self, tenant: Tenant, model: ModelVersion, *, before: datetime, windows: int
    ) -> Sequence[WindowFigures]:
        """Return a version's last windows before a plant time."""
        of = await self._measured(tenant, model)
        return await self._store.figures(of, before=before, limit=windows)

    async def _measured(self, tenant: Tenant, model: ModelVersion) -> Measured:
        domains = await self._runners.domains(model.name)
        return Measured(tenant, domains, model.name, model.version)


class Watchman:
    """Sets the figures of the active version against what was learned."""

    def __init__(self, figures: Figures, rule: DriftRule) -> None:
        self._figures = figures
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
        mine = await self._figures.since_active(tenant, model)
        before = predecessor(model, others)
        taught: Sequence[WindowFigures] = ()
        if before is not None:
            taught = await self._figures.last_of(
                tenant, before, before=start, windows=rule.learned_windows
            )
        if len(taught) < rule.learned_windows:
            first = await self._figures.since_active(tenant, model, first=rule.learned_windows)
            taught = [window for window in first if mine and window.at <= mine[-1].at]
            mine = [window for window in mine if not taught or window.at > taught[-1].at]

        def both() -> tuple[Drift, Drift]:
            residuals = watch(
                residual_figures(mine),
                rule,
                learned_from=residual_figures(taught),
            )
            errors = watch(
                error_figures(mine),
                rule,
                side=Side.UP,
                learned_from=error_figures(taught),
            )
            return residuals, errors

        return await asyncio.to_thread(both)


async def judged(
    figures: Figures,
    rule: PromotionRule,
    tenant: Tenant,
    challenger: ModelVersion,
    champion: ModelVersion,
) -> Promotion:
    """Return what a tenant's figures say about a challenger, in the champion's tenure."""
    compared = await figures.compared(tenant, challenger, champion)
    return await asyncio.to_thread(judge_windows, compared, rule)


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

    def __init__(
        self,
        registry: Registry,
        figures: Figures,
        clock: Clock,
        rules: Rules,
        authority: Authority | None = None,
    ) -> None:
        self._authority = authority or Authority()
        self._registry = registry
        self._figures = figures
        self._clock = clock
        self._rules = rules
        self._watchman = Watchman(figures, rules.drift)

    async def view(self, principal: Principal, name: ModelName, version: Version) -> ShadowView:
        """Return figures and rulings about a version.

        Raises:
            ForbiddenError: The caller may not read.
            NotFoundError: No such version.
        """
        self._authority.reads(principal, f"{name} {version}")
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
                await judged(self._figures, self._rules.promotion, tenant, model, champion),
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
        self._authority.reads(principal, name or "all")
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
