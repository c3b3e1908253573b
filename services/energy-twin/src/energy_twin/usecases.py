"""What the energy twin is asked to do."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from energy_twin.decide.judge import input_trust, meter_trust, waste_trust
from energy_twin.decide.learn import learn
from energy_twin.decide.meters import Counted, IntervalStamp, count_days, local_days, zone_of
from energy_twin.decide.revise import revise
from energy_twin.decide.steps import Inputs, hold_us, missing_roles, roles_used, steps_of
from energy_twin.decide.waste import waste_in
from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline
from energy_twin.model.estimate import MeterDay, WasteEstimate, Window
from energy_twin.model.series import METERS, Segment, Series, SignalUse
from energy_twin.ports import AssetDirectory, BaselineChange, EnergyStore
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import MIN_TIME, OPEN_US, ReadTime, from_us, to_us
from twinmesh_sdk.core.trust import Budget
from twinmesh_sdk.ports.clock import Clock

DAY_US: Final = 86_400_000_000
MAX_WINDOWS: Final = 200
MAX_WINDOW_US: Final = 50 * 366 * DAY_US
"""What a window costs is bounded by its readings; this only refuses nonsense."""

OPENING_SPANS: Final = 4
"""How much longer than the baseline's own length is looked at first."""


@dataclass(frozen=True, slots=True, eq=False)
class Arrived:
    """Readings of one signal in one telemetry batch.

    Attributes:
        known_at_us: Wall time at which telemetry stored the batch.
    """

    tenant: Tenant
    asset_id: AssetId
    signal_id: SignalId
    series: Series
    known_at_us: int


class TakeReadings:
    """Keep readings, and learn from them.

    Twice, or in another order: a segment is saved once, and what is learned depends on the readings
    that are there, not on how they came.
    """

    def __init__(
        self, store: EnergyStore, directory: AssetDirectory, learn_baselines: "LearnBaselines"
    ) -> None:
        self._store = store
        self._directory = directory
        self._learn = learn_baselines

    async def __call__(self, arrived: Sequence[Arrived]) -> int:
        """Take a batch; returns how many readings this twin uses.

        Raises:
            UnavailableError: The store or the registry does not answer; nothing is saved.
        """
        by_tenant: dict[Tenant, list[Arrived]] = defaultdict(list)
        for part in arrived:
            by_tenant[part.tenant].append(part)
        taken = 0
        for tenant, parts in by_tenant.items():
            taken += await self._take(tenant, parts)
        return taken

    async def _take(self, tenant: Tenant, parts: Sequence[Arrived]) -> int:
        signals: dict[AssetId, set[SignalId]] = defaultdict(set)
        for part in parts:
            signals[part.asset_id].add(part.signal_id)
        uses = await self._directory.uses(tenant, signals)
        segments = [
            Segment(tenant, p.asset_id, uses[p.signal_id], p.series, p.known_at_us)
            for p in parts
            if p.signal_id in uses and p.series.size
        ]
        if not segments:
            return 0
        touched = _touched(segments)
        async with self._store.claim(tenant, touched):
            await self._store.add(segments)
            for asset_id in await self._learn.unsettled(tenant, touched):
                await self._learn.within(tenant, asset_id, *touched[asset_id])
        return sum(segment.series.size for segment in segments)


def _touched(segments: Sequence[Segment]) -> dict[AssetId, tuple[int, int]]:
    """Return, per asset, from when to when readings came."""
    touched: dict[AssetId, tuple[int, int]] = {}
    for segment in segments:
        times = segment.series.times_us
        first, last = touched.get(segment.asset_id, (OPEN_US, -OPEN_US))
        touched[segment.asset_id] = (min(first, int(times[0])), max(last, int(times[-1])))
    return touched


class LearnBaselines:
    """Learn a baseline per configuration of a pump, and learn it anew when its ground changes."""

    def __init__(
        self, store: EnergyStore, directory: AssetDirectory, *, readings: int, search_days: float
    ) -> None:
        self._store = store
        self._directory = directory
        self._readings = readings
        self._search_us = round(search_days * DAY_US)

    async def anew(self, tenant: Tenant, asset_id: AssetId) -> None:
        """Hold every baseline of an asset against the configurations as known now.

        Raises:
            UnavailableError: The store or the registry does not answer.
        """
        self._directory.forget(tenant, asset_id)
        async with self._store.claim(tenant, [asset_id]):
            await self.within(tenant, asset_id, to_us(MIN_TIME), OPEN_US - 1)

    async def unsettled(
        self, tenant: Tenant, touched: Mapping[AssetId, tuple[int, int]]
    ) -> list[AssetId]:
        """Return the assets about which new readings may teach something.

        The others have meters only, or their new readings lie behind what the baseline that holds
        there was learned from: in the long run that is nearly every asset of every batch.
        """
        uses = await self._store.uses(tenant, touched)
        pumps = [asset for asset in touched if roles_used(uses.get(asset, {}).values())]
        windows = [Window(asset, touched[asset][0], touched[asset][1] + 1) for asset in pumps]
        held = await self._store.baselines(tenant, windows)
        return [
            window.asset_id
            for window, found in zip(windows, held, strict=True)
            if not any(_taught(one.baseline, window) for one in found)
        ]

    async def within(self, tenant: Tenant, asset_id: AssetId, from_us: int, to_us_: int) -> None:
        """Learn what readings from a time to another may have changed; inside a claim."""
        uses = (await self._store.uses(tenant, [asset_id])).get(asset_id, {})
        used = roles_used(uses.values())
        if not used:
            return
        extent = await self._store.extent(tenant, asset_id, [use.signal_id for use in used])
        if extent is None:
            return
        periods = await self._directory.periods(tenant, asset_id) or (
            ConfigurationPeriod("", extent[0]),
        )
        whole = Window(asset_id, to_us(MIN_TIME), OPEN_US)
        (held,) = await self._store.baselines(tenant, [whole])
        wanted: list[Baseline] = []
        for period in periods:
            baseline = _settled(held, period, from_us, to_us_)
            if baseline is None and _concerned(held, period, from_us, to_us_):
                baseline = await self._learned(tenant, asset_id, used, period, extent[1])
            if baseline is not None:
                wanted.append(baseline)
        change = revise(held, wanted)
        if change is not None:
            await self._store.change(BaselineChange(change.ended, change.begun, change.announced))

    async def _learned(
        self,
        tenant: Tenant,
        asset_id: AssetId,
        used: Sequence[SignalUse],
        period: ConfigurationPeriod,
        last_us: int,
    ) -> Baseline | None:
        """Learn from the start of a period, looking further while it is not enough."""
        cadence_us = max(use.cadence_s for use in used) * 1e6
        span_us = round(OPENING_SPANS * self._readings * cadence_us)
        end = min(period.to_us, last_us + 1, period.from_us + max(self._search_us, span_us))
        reach = period.from_us
        while reach < end:
            reach = min(end, period.from_us + span_us)
            inputs = await self._inputs(tenant, Window(asset_id, period.from_us, reach), used)
            learned = learn(inputs, period, readings=self._readings)
            if learned is not None:
                return Baseline(tenant, asset_id, period, learned)
            span_us *= OPENING_SPANS
        return None

    async def _inputs(self, tenant: Tenant, window: Window, used: Sequence[SignalUse]) -> Inputs:
        (found,) = await self._store.series(tenant, [window], [[u.signal_id for u in used]])
        return {use.role: (use, found.get(use.signal_id, Series.empty())) for use in used}


def _settled(
    held: Sequence[HeldBaseline], period: ConfigurationPeriod, from_us: int, to_us_: int
) -> Baseline | None:
    """Return the baseline of a period when the new readings cannot have changed it."""
    for one in held:
        known = one.baseline
        same = (known.period.configuration_id, known.period.from_us) == (
            period.configuration_id,
            period.from_us,
        )
        untouched = to_us_ < period.from_us or known.learned.to_us < from_us
        if same and untouched and known.learned.to_us <= period.to_us:
            return replace(known, period=period)
    return None


def _taught(known: Baseline, window: Window) -> bool:
    """Tell whether a baseline holds all over a window, and was learned before it."""
    return (
        known.period.from_us <= window.from_us
        and window.to_us <= known.period.to_us
        and known.learned.to_us < window.from_us
    )


def _concerned(
    held: Sequence[HeldBaseline], period: ConfigurationPeriod, from_us: int, to_us_: int
) -> bool:
    """Tell whether readings came for a period, or what is held for it lost its ground."""
    if from_us < period.to_us and period.from_us <= to_us_:
        return True
    return any(one.baseline.period.from_us == period.from_us for one in held)


class ReadEnergy:
    """Answer what was wasted, learned and counted, as known at the times of a request."""

    def __init__(self, store: EnergyStore, clock: Clock, budget: Budget) -> None:
        self._store = store
        self._clock = clock
        self._budget = budget

    async def known(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, dict[SignalId, SignalUse]]:
        """Return the signals that this twin has, per asset; assets without any are left out."""
        return await self._store.uses(tenant, asset_ids)

    async def waste(
        self, tenant: Tenant, windows: Sequence[Window], at: ReadTime
    ) -> list[WasteEstimate | None]:
        """Return the energy wasted in each window; None for assets that have no twin here.

        Raises:
            InvalidInputError: A window is inverted or too long, or there are too many.
            LimitExceededError: They hold too many readings.
        """
        _check(windows)
        uses = await self._store.uses(tenant, {window.asset_id for window in windows})
        used = [roles_used(uses.get(w.asset_id, {}).values()) for w in windows]
        seen = [_as_of(window, at) for window in windows]
        found = await self._store.series(
            tenant,
            [_with_hold(w, u) for w, u in zip(seen, used, strict=True)],
            [[use.signal_id for use in each] for each in used],
            known_at_us=at.known_at_us,
        )
        baselines = await self._store.baselines(tenant, seen, known_at_us=at.known_at_us)
        return [
            self._estimate(tenant, window, cut, each, series, held, at)
            if window.asset_id in uses
            else None
            for window, cut, each, series, held in zip(
                windows, seen, used, found, baselines, strict=True
            )
        ]

    def _estimate(  # noqa: PLR0917 - one of each kind
        self,
        tenant: Tenant,
        window: Window,
        seen: Window,
        used: Sequence[SignalUse],
        found: Mapping[SignalId, Series],
        held: tuple[HeldBaseline, ...],
        at: ReadTime,
    ) -> WasteEstimate:
        inputs: Inputs = {u.role: (u, found.get(u.signal_id, Series.empty())) for u in used}
        waste, applied = waste_in(steps_of(inputs), seen, held)
        moment = _judged_at(window, at)
        trust = waste_trust(
            window,
            [
                input_trust(
                    use,
                    series,
                    at=moment,
                    budget=self._budget,
                    speed=self._clock.speed(tenant),
                )
                for use, series in inputs.values()
            ],
            waste,
            applied,
            budget=self._budget,
            missing=missing_roles(inputs),
        )
        covered = 0.0 if waste is None else waste.covered_s / window.length_s
        return WasteEstimate(window, waste, min(covered, 1.0), applied, trust)

    async def baselines(
        self, tenant: Tenant, asset_ids: Sequence[AssetId], at: ReadTime
    ) -> list[HeldBaseline | None]:
        """Return the baseline of each asset that is valid at the request's as-of."""
        moments = [Window(asset_id, at.as_of_us, at.as_of_us + 1) for asset_id in asset_ids]
        found = await self._store.baselines(tenant, moments, known_at_us=at.known_at_us)
        return [held[-1] if held else None for held in found]

    async def explain(self, tenant: Tenant, baseline_id: str, at: ReadTime) -> HeldBaseline:
        """Return a baseline by its id.

        Raises:
            NotFoundError: There is none that was known then.
        """
        held = await self._store.baseline(tenant, baseline_id, known_at_us=at.known_at_us)
        if held is None:
            raise NotFoundError(f"no baseline {baseline_id[:80]!r}")
        return held

    async def meter_totals(
        self, tenant: Tenant, asset_ids: Sequence[AssetId], wanted: "MeterDays", at: ReadTime
    ) -> list[list[MeterDay]]:
        """Return what each asset's meters counted per local day, by signal and day.

        Raises:
            InvalidInputError: The zone is unknown, or the days are too many.
            LimitExceededError: The meters hold too many readings.
        """
        days = local_days(wanted.first, wanted.last, zone_of(wanted.zone))
        uses = await self._store.uses(tenant, asset_ids)
        meters = [_meters(uses.get(asset_id, {}).values()) for asset_id in asset_ids]
        found = await self._store.series(
            tenant,
            [
                _with_hold(_as_of(Window(asset_id, days[0].from_us, days[-1].to_us), at), each)
                for asset_id, each in zip(asset_ids, meters, strict=True)
            ],
            [[use.signal_id for use in each] for each in meters],
            known_at_us=at.known_at_us,
        )
        return [
            [
                self._meter_day(tenant, asset_id, use, series, count, wanted.zone, at)
                for use in each
                for series in [told.get(use.signal_id, Series.empty())]
                for count in count_days(use, series, days, wanted.stamp)
            ]
            for asset_id, each, told in zip(asset_ids, meters, found, strict=True)
        ]

    def _meter_day(  # noqa: PLR0917 - one of each kind
        self,
        tenant: Tenant,
        asset_id: AssetId,
        use: SignalUse,
        series: Series,
        count: Counted,
        zone: str,
        at: ReadTime,
    ) -> MeterDay:
        day = count.day
        trust = meter_trust(
            use,
            series,
            count,
            at=_judged_at(Window(asset_id, day.from_us, day.to_us), at),
            budget=self._budget,
            speed=self._clock.speed(tenant),
        )
        return MeterDay(
            asset_id=asset_id,
            use=use,
            date=day.date,
            time_zone=zone or "UTC",
            from_us=day.from_us,
            to_us=day.to_us,
            energy_j=count.energy_j,
            covered_ratio=min(count.covered_s / ((day.to_us - day.from_us) / 1e6), 1.0),
            trust=trust,
        )


@dataclass(frozen=True, slots=True)
class MeterDays:
    """Which local days of meters are asked about.

    Attributes:
        last: Included.
        zone: IANA name; empty is UTC.
        stamp: At which end of its interval a meter stamps interval energy.
    """

    first: date
    last: date
    zone: str = ""
    stamp: IntervalStamp = IntervalStamp.END


class ForgetOldReadings:
    """Forget readings that have been known for longer than they are kept."""

    def __init__(self, store: EnergyStore, clock: Clock, *, kept_days: float) -> None:
        self._store = store
        self._clock = clock
        self._kept_us = round(kept_days * DAY_US)

    async def __call__(self) -> int:
        """Do it; returns how many segments went. Baselines stay."""
        return await self._store.forget(
            known_before_us=to_us(self._clock.wall_now()) - self._kept_us
        )


def _meters(uses: Iterable[SignalUse]) -> list[SignalUse]:
    return sorted((use for use in uses if use.role in METERS), key=lambda use: use.name)


def _check(windows: Sequence[Window]) -> None:
    if len(windows) > MAX_WINDOWS:
        raise InvalidInputError(f"at most {MAX_WINDOWS} windows at once, got {len(windows)}")
    for window in windows:
        check_window(window)


def check_window(window: Window) -> None:
    """Pass silently when a window can be asked about.

    Raises:
        InvalidInputError: It is inverted, empty or too long.
    """
    if not window.from_us < window.to_us:
        raise InvalidInputError("a window must end after it starts")
    if window.to_us - window.from_us > MAX_WINDOW_US:
        raise InvalidInputError(
            f"a window has at most {MAX_WINDOW_US // DAY_US} days",
            hint="ask for a shorter one",
        )


def _as_of(window: Window, at: ReadTime) -> Window:
    """Return the part of a window that is past at the request's as-of."""
    return replace(window, to_us=max(window.from_us, min(window.to_us, at.as_of_us)))


def _with_hold(window: Window, used: Sequence[SignalUse]) -> Window:
    """Return the window with the time before and after it whose readings matter inside."""
    hold = max((hold_us(use) for use in used), default=0)
    return replace(window, from_us=window.from_us - hold, to_us=window.to_us + hold)


def _judged_at(window: Window, at: ReadTime) -> datetime:
    """Return the time at which inputs had to be fresh: the window's end, or now when sooner."""
    return min(at.now, from_us(window.to_us))
