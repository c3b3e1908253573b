"""Hold charters against reality, again and again; tell the owner when a promise is not kept."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from governance.decide.reality import WINDOW, judge, promises_of
from governance.model.contracts import Bundle, ServiceName
from governance.model.policies import Thing
from governance.model.reality import (
    CharterTurned,
    Kind,
    Measure,
    Promise,
    Reality,
    Report,
    Standing,
    Told,
)
from governance.ports import Registry
from governance.ports.reality import EventCounter, RealityStore
from governance.usecases.authority import Authority
from twinmesh_sdk.core.errors import ForbiddenError
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.principal import Principal
from twinmesh_sdk.ports.clock import Clock

REPORTS_KEPT: Final = timedelta(days=31)
"""A measure that a service has not repeated for so long is none any more."""

COUNT_EVERY: Final = timedelta(minutes=1)
"""Counting costs the bus a consumer per subject; a day's sum hardly changes meanwhile."""

Volumes = tuple[datetime, Mapping[ServiceName, Sequence[str]], Mapping[str, Mapping[Tenant, int]]]
"""When, of which event types, and how many by service and tenant."""


class FollowVerdicts:
    """Keep what telemetry says; in any order, and again, it ends the same."""

    def __init__(self, store: RealityStore) -> None:
        self._store = store

    async def __call__(self, told: Told) -> None:
        """Keep one changed verdict."""
        await self._store.told(told)


class ReportMeasure:
    """Take in what a service measured of itself."""

    def __init__(self, store: RealityStore, authority: Authority, clock: Clock) -> None:
        self._store = store
        self._authority = authority
        self._clock = clock

    async def __call__(
        self, principal: Principal, *, service: str, metric: str, value: float, samples: int
    ) -> None:
        """Keep the newest value of a metric.

        Raises:
            ForbiddenError: The caller is not this service.
            InvalidInputError: The figure is none.
        """
        self._authority.require(principal, "charter.report", Thing("Contract", service))
        if principal.client_id != f"svc-{service}":
            raise ForbiddenError(f"{principal.client_id} measures itself, not {service}")
        await self._store.reported(
            Report(
                tenant=str(principal.tenant),
                service=service,
                metric=metric,
                value=value,
                samples=samples,
                at=self._clock.wall_now(),
            )
        )


class ReadReality:
    """Show where promises stand."""

    def __init__(self, store: RealityStore, authority: Authority) -> None:
        self._store = store
        self._authority = authority

    async def __call__(self, principal: Principal, service: str = "") -> list[Reality]:
        """Return the caller's tenant's standings, of one service or of all."""
        self._authority.require(principal, "governance.read", Thing("Snapshot", "reality"))
        found = await self._store.standings(principal.tenant)
        return [each for each in found if service in {"", each.promise.service}]


class JudgeCharters:
    """Measure every promise of every charter in force, for every tenant."""

    def __init__(
        self,
        registry: Registry,
        store: RealityStore,
        counter: EventCounter,
        clock: Clock,
        *,
        patience: timedelta,
    ) -> None:
        self._registry = registry
        self._store = store
        self._counter = counter
        self._clock = clock
        self._patience = patience
        self._volumes: Volumes = (datetime.min.replace(tzinfo=UTC), {}, {})

    async def __call__(self) -> int:
        """Judge once; returns how many promises turned.

        Raises:
            UnavailableError: A store or the bus does not answer; the next time begins anew.
            ConflictError: Another process judged meanwhile.
        """
        async with self._registry.snapshot() as session:
            active = (await session.mesh()).active()
        bundles = [contract.bundle for contract in active.values()]
        volumes = await self._counted(bundles)
        tenants = set(await self._store.tenants()).union(*volumes.values())
        turned = 0
        for tenant in sorted(tenants):
            turned += await self._judge(tenant, bundles, volumes)
        return turned

    async def _counted(self, bundles: Sequence[Bundle]) -> Mapping[str, Mapping[Tenant, int]]:
        """Return how many events each service has published in the last day, counted seldom."""
        now, types = (
            self._clock.wall_now(),
            {b.service: [e.type for e in b.events] for b in bundles if b.events},
        )
        counted_at, counted_types, volumes = self._volumes
        if types != counted_types or now - counted_at >= COUNT_EVERY:
            volumes = {
                str(service): await self._counter.counts(names, now - WINDOW)
                for service, names in types.items()
            }
            self._volumes = now, types, volumes
        return volumes

    async def _judge(
        self,
        tenant: Tenant,
        bundles: Sequence[Bundle],
        volumes: Mapping[str, Mapping[Tenant, int]],
    ) -> int:
        now, plant_now = self._clock.wall_now(), self._clock.plant_now(tenant)
        shares = await self._store.shares(tenant, plant_now)
        coverage = await self._store.coverage(tenant)
        reports = {
            (r.service, r.metric): Measure(r.value, r.samples)
            for r in await self._store.reports(tenant, now - REPORTS_KEPT)
        }
        before = {each.promise: each for each in await self._store.standings(tenant)}
        known = {(p.service, p.kind, p.name): each for p, each in before.items()}

        def measured(promise: Promise) -> Measure | None:
            match promise.kind:
                case Kind.FRESHNESS:
                    return shares.get(promise.name)
                case Kind.COVERAGE:
                    return coverage.get(promise.name)
                case Kind.FIDELITY:
                    return reports.get((promise.service, promise.name))
                case Kind.VOLUME:
                    count = volumes.get(promise.service, {}).get(tenant, 0)
                    return Measure(float(count), count)

        standings: list[Reality] = []
        facts: list[CharterTurned] = []
        for bundle in bundles:
            for promise in promises_of(bundle):
                last = known.get((promise.service, promise.kind, promise.name))
                judged = judge(
                    last, promise, measured(promise), tenant=str(tenant), now=now,
                    patience=self._patience,
                )  # fmt: skip
                standings.append(judged)
                if _tells(last, judged):
                    owner = bundle.owner
                    facts.append(
                        CharterTurned(
                            judged,
                            plant_now,
                            owner.get("team", ""),
                            owner.get("contact", ""),
                            owner.get("on_call", ""),
                        )
                    )
        await self._store.save(tenant, standings, facts)
        return len(facts)


def _tells(before: Reality | None, now: Reality) -> bool:
    """Tell whether the owner has to hear: a breach began, or ended."""
    earlier = before.standing if before else Standing.UNMEASURED
    return earlier is not now.standing and Standing.BREACHED in {earlier, now.standing}
