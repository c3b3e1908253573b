"""What readers ask: latest values with their trust, history, ingest counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from telemetry.decide.verdicts import tightest, trust_of
from telemetry.model.history import IngestStatus, LatestReading, Point
from telemetry.model.signal import Signal
from telemetry.ports import Ledger, RawStream, ReadingStore, RollupStore, SignalDirectory
from twinmesh_sdk.core.errors import InvalidInputError, NotFoundError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, Period, ReadTime, to_us
from twinmesh_sdk.core.trust import Budget, Trust, combine
from twinmesh_sdk.ports.clock import Clock

US: Final = 1_000_000
MAX_SIGNALS: Final = 1_000
MAX_POINTS: Final = 10_000
MAX_STEPS: Final = 1_000_000
LEAST_STEP_S: Final = 1.0
LONGEST_STEP_S: Final = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Latest:
    """A signal's newest value; `reading` is None when there is none at the times of the read."""

    signal: Signal
    reading: LatestReading | None
    trust: Trust


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A period of one signal's history.

    Attributes:
        period: An open end means up to the as-of time of the request.
        step_s: Width of aggregates, aligned to the Unix epoch; 0 for single readings.
        limit: Most points to return, 1 to MAX_POINTS.
    """

    signal_id: str
    period: Period
    step_s: float
    limit: int

    def __post_init__(self) -> None:
        """Refuse what would not end."""
        if not 1 <= self.limit <= MAX_POINTS:
            raise InvalidInputError(f"at most {MAX_POINTS} points at once, got {self.limit}")
        if self.step_s != 0 and not LEAST_STEP_S <= self.step_s <= LONGEST_STEP_S:
            raise InvalidInputError(
                f"step must be {LEAST_STEP_S:g} to {LONGEST_STEP_S:g} s, got {self.step_s}"
            )


@dataclass(frozen=True, slots=True)
class HistoryPart:
    """A part of a signal's history.

    Attributes:
        step_s: 0 for single readings.
        completeness: Share of the readings that the cadence promises, per point; None where the
            signal declares none.
        next_us: Where the next part begins; None at the end.
    """

    signal: Signal
    step_s: float
    points: tuple[Point, ...]
    completeness: tuple[float | None, ...]
    next_us: int | None


class ReadLatest:
    """Answers latest values by event time, as of and as known at the times of the request."""

    def __init__(
        self,
        *,
        store: ReadingStore,
        directory: SignalDirectory,
        budgets: Callable[[], Mapping[str, Budget]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._directory = directory
        self._budgets = budgets
        self._clock = clock

    async def __call__(
        self, tenant: Tenant, signal_ids: Sequence[str], decision: str, times: ReadTime
    ) -> dict[str, Latest]:
        """Return values by signal id; signals that are not the tenant's are left out.

        However many signals: at most one call of the registry per thousand, two of the store.

        Raises:
            InvalidInputError: More than MAX_SIGNALS ids, or one that is none.
            NotFoundError: No active charter declares a budget for `decision`.
        """
        if len(signal_ids) > MAX_SIGNALS:
            raise InvalidInputError(f"at most {MAX_SIGNALS} signals at once, got {len(signal_ids)}")
        budget = self.budget(decision)
        ids = [SignalId(one) for one in dict.fromkeys(signal_ids)]
        known = await self._directory.definitions(tenant, ids)
        readings: dict[str, LatestReading] = {}
        if known:
            readings = await self._store.latest(
                list(known.values()), as_of_us=times.as_of_us, known_at_us=times.known_at_us
            )
        speed = self._clock.speed(tenant)
        return {
            signal_id: Latest(
                signal, readings.get(signal_id), _trust(signal, readings, budget, times, speed)
            )
            for signal_id, signal in known.items()
        }

    def budget(self, decision: str) -> Budget | None:
        """Return the budget of a decision; the tightest for none.

        Raises:
            NotFoundError: No active charter declares it.
        """
        budgets = self._budgets()
        if not decision:
            return tightest(budgets)
        if decision not in budgets:
            raise NotFoundError(
                f"no active charter declares a budget {decision[:60]!r}",
                hint=f"known: {', '.join(sorted(budgets)[:20]) or 'none'}",
            )
        return budgets[decision]


def _trust(
    signal: Signal,
    readings: Mapping[str, LatestReading],
    budget: Budget | None,
    times: ReadTime,
    speed: float,
) -> Trust:
    reading = readings.get(signal.signal_id)
    return trust_of(
        signal=signal,
        observed_us=reading.observed_us if reading else None,
        advanced_us=reading.advanced_us if reading else None,
        arrived_us=reading.arrived_us if reading else None,
        status=reading.status if reading else 0,
        budget=budget,
        now=min(times.now, times.as_of),
        speed=speed,
    )


class ReadHistory:
    """Answers readings or aggregates of one signal in a period."""

    def __init__(
        self,
        *,
        store: ReadingStore,
        rollups: RollupStore,
        ledger: Ledger,
        directory: SignalDirectory,
    ) -> None:
        self._store = store
        self._rollups = rollups
        self._ledger = ledger
        self._directory = directory

    async def __call__(self, tenant: Tenant, query: HistoryQuery, times: ReadTime) -> HistoryPart:
        """Return the first part of a history.

        Args:
            tenant: Whose signal.
            query: What is asked.
            times: Readings observed after `as_of`, or recorded after `known_at`, do not count.

        Raises:
            NotFoundError: The tenant has no such signal.
        """
        known = await self._directory.definitions(tenant, [SignalId(query.signal_id)])
        signal = known.get(query.signal_id)
        if signal is None:
            raise NotFoundError(f"signal {query.signal_id} does not exist")
        points = await self._points(signal, query, times)
        more = points[query.limit].at_us if len(points) > query.limit else None
        shown = tuple(points[: query.limit])
        return HistoryPart(
            signal=signal,
            step_s=query.step_s,
            points=shown,
            completeness=tuple(_completeness(p, signal, query.step_s) for p in shown),
            next_us=more,
        )

    async def _points(self, signal: Signal, query: HistoryQuery, times: ReadTime) -> list[Point]:
        period = query.period
        start_us = to_us(period.start)
        end_us = min(to_us(period.end) if period.end else OPEN_US, times.as_of_us + 1)
        if query.step_s == 0:
            return await self._store.history(
                signal,
                start_us=start_us,
                end_us=end_us,
                known_at_us=times.known_at_us,
                limit=query.limit + 1,
            )
        step_us = round(query.step_s * US)
        if end_us - start_us > MAX_STEPS * step_us:
            raise InvalidInputError(f"a history has at most {MAX_STEPS} steps; widen the step")
        return await self._rollups.aggregates(
            signal,
            start_us=start_us,
            end_us=end_us,
            step_us=step_us,
            known_at_us=times.known_at_us,
            mark_us=await self._ledger.rollup_mark(),
            limit=query.limit + 1,
        )


def _completeness(point: Point, signal: Signal, step_s: float) -> float | None:
    """Return the share of the promised readings that are there, 0 to 1."""
    if step_s == 0 or signal.cadence_s <= 0:
        return None
    return min(1.0, point.count * signal.cadence_s / step_s)


class ReadIngestStatus:
    """Answers what became of a tenant's readings."""

    def __init__(self, *, stream: str, ledger: Ledger, raw: RawStream) -> None:
        self._stream = stream
        self._ledger = ledger
        self._raw = raw

    async def __call__(self, tenant: Tenant) -> IngestStatus:
        """Return the counts, and how far the stream is worked off.

        Raises:
            UnavailableError: The ledger or the bus does not answer.
        """
        received = await self._raw.last_sequence()
        cursor = await self._ledger.processed(self._stream)
        counts = await self._ledger.counts(tenant)
        return IngestStatus(counts, cursor.last_seq if cursor else 0, received)


class ReadAssets:
    """Answers, per asset, the latest values of its signals and the worst of their trusts."""

    def __init__(self, *, latest: ReadLatest, directory: SignalDirectory) -> None:
        self._latest = latest
        self._directory = directory

    async def __call__(
        self, tenant: Tenant, asset_ids: Sequence[AssetId], times: ReadTime
    ) -> dict[str, tuple[list[Latest], Trust]]:
        """Return values and trust by asset id; assets without signals are left out.

        Raises:
            InvalidInputError: More than MAX_SIGNALS assets.
        """
        if len(asset_ids) > MAX_SIGNALS:
            raise InvalidInputError(f"at most {MAX_SIGNALS} assets at once, got {len(asset_ids)}")
        signals = await self._directory.signals_of(tenant, asset_ids)
        by_asset: dict[str, list[Latest]] = {}
        for at in range(0, len(signals), MAX_SIGNALS):
            ids = [s.signal_id for s in signals[at : at + MAX_SIGNALS]]
            for one in (await self._latest(tenant, ids, "", times)).values():
                by_asset.setdefault(one.signal.asset_id, []).append(one)
        return {
            asset_id: (values, combine(one.trust for one in values))
            for asset_id, values in by_asset.items()
        }
