"""Readings and baselines in PostgreSQL."""

import itertools
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from energy_twin import wire
from energy_twin.adapters.tables import BASELINE, SEGMENT, SIGNAL
from energy_twin.model.baseline import Baseline, ConfigurationPeriod, HeldBaseline, Learned
from energy_twin.model.estimate import Window
from energy_twin.model.series import Role, Segment, Series, SignalUse
from energy_twin.ports import LATEST, BaselineChange
from twinmesh_sdk.adapters import tracing
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox, RecordedClock
from twinmesh_sdk.core.errors import LimitExceededError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US, to_us

MAX_READINGS: Final = 4_000_000
"""Most readings that one call loads."""

MAX_SEGMENT_US: Final = 86_400_000_000
"""A segment spans at most so much, so that those of a window are found by their start."""

ROWS_AT_ONCE: Final = 1_000


_CLAIM: Final = sa.text(
    "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtext(name)::bigint AS key "
    "FROM unnest(CAST(:keys AS text[])) AS name ORDER BY key OFFSET 0) AS keys"
)
"""One lock per asset, taken in one order by everybody."""


class PostgresEnergyStore:
    """See `EnergyStore`."""

    def __init__(self, database: Database, outbox: PostgresOutbox, recorded: RecordedClock) -> None:
        self._database = database
        self._outbox = outbox
        self._recorded = recorded

    @asynccontextmanager
    async def claim(self, tenant: Tenant, asset_ids: Collection[AssetId]) -> AsyncIterator[None]:
        """See `EnergyStore.claim`."""
        async with self._database.begin() as connection:
            await connection.execute(
                _CLAIM, {"keys": sorted(f"{tenant}/{asset_id}" for asset_id in asset_ids)}
            )
            yield

    async def add(self, segments: Sequence[Segment]) -> None:
        """See `EnergyStore.add`."""
        uses = {(s.tenant, s.use.signal_id): s for s in segments}
        signals = [
            {
                "tenant": str(segment.tenant),
                "signal_id": str(segment.use.signal_id),
                "asset_id": str(segment.asset_id),
                "name": segment.use.name,
                "role": str(segment.use.role),
                "cadence_s": segment.use.cadence_s,
            }
            for _, segment in sorted(uses.items())
        ]
        rows = [row for segment in segments for row in _segment_rows(segment)]
        upsert = insert(SIGNAL)
        upsert = upsert.on_conflict_do_update(
            index_elements=[SIGNAL.c.tenant, SIGNAL.c.signal_id],
            set_={
                name: upsert.excluded[name] for name in ("asset_id", "name", "role", "cadence_s")
            },
        )
        async with self._database.begin() as connection:
            if signals:
                await connection.execute(upsert, signals)
            for first in range(0, len(rows), ROWS_AT_ONCE):
                await connection.execute(
                    insert(SEGMENT).on_conflict_do_nothing(), rows[first : first + ROWS_AT_ONCE]
                )

    async def uses(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, dict[SignalId, SignalUse]]:
        """See `EnergyStore.uses`."""
        query = sa.select(SIGNAL).where(
            SIGNAL.c.tenant == str(tenant),
            SIGNAL.c.asset_id.in_([str(asset_id) for asset_id in asset_ids]),
        )
        found: dict[AssetId, dict[SignalId, SignalUse]] = {}
        async with self._database.connect() as connection:
            for row in (await connection.execute(query)).mappings():
                use = SignalUse(
                    SignalId(row["signal_id"]), row["name"], Role(row["role"]), row["cadence_s"]
                )
                found.setdefault(AssetId(row["asset_id"]), {})[use.signal_id] = use
        return found

    async def extent(
        self, tenant: Tenant, asset_id: AssetId, signals: Collection[SignalId]
    ) -> tuple[int, int] | None:
        """See `EnergyStore.extent`."""
        del asset_id
        query = sa.select(sa.func.min(SEGMENT.c.from_us), sa.func.max(SEGMENT.c.to_us)).where(
            SEGMENT.c.tenant == str(tenant), SEGMENT.c.signal_id.in_([str(s) for s in signals])
        )
        async with self._database.connect() as connection:
            first, last = (await connection.execute(query)).one()
        return None if first is None else (first, last)

    async def series(
        self,
        tenant: Tenant,
        windows: Sequence[Window],
        signals: Sequence[Collection[SignalId]],
        *,
        known_at_us: int = LATEST,
    ) -> list[dict[SignalId, Series]]:
        """See `EnergyStore.series`."""
        asked = [
            (i, str(signal), window.from_us, window.to_us)
            for i, (window, wanted) in enumerate(zip(windows, signals, strict=True))
            for signal in wanted
        ]
        parts: list[dict[SignalId, list[Series]]] = [{} for _ in windows]
        if asked:
            await self._load(tenant, asked, known_at_us, parts)
        return [
            {signal: _cut(Series.merged(found), window) for signal, found in by_signal.items()}
            for window, by_signal in zip(windows, parts, strict=True)
        ]

    async def _load(
        self,
        tenant: Tenant,
        asked: Sequence[tuple[int, str, int, int]],
        known_at_us: int,
        parts: list[dict[SignalId, list[Series]]],
    ) -> None:
        """Load segments, the later known last, into `parts`."""
        numbers, names, starts, ends = zip(*asked, strict=True)
        ask = (
            sa.func.unnest(
                sa.cast(list(numbers), sa.ARRAY(sa.BigInteger)),
                sa.cast(list(names), sa.ARRAY(sa.Text)),
                sa.cast(list(starts), sa.ARRAY(sa.BigInteger)),
                sa.cast(list(ends), sa.ARRAY(sa.BigInteger)),
            )
            .table_valued(
                sa.column("i", sa.BigInteger),
                sa.column("signal_id", sa.Text),
                sa.column("from_us", sa.BigInteger),
                sa.column("to_us", sa.BigInteger),
            )
            .render_derived(name="ask")
        )
        joined = ask.join(
            SEGMENT,
            sa.and_(
                SEGMENT.c.tenant == str(tenant),
                SEGMENT.c.signal_id == ask.c.signal_id,
                SEGMENT.c.from_us > ask.c.from_us - MAX_SEGMENT_US,
                SEGMENT.c.from_us < ask.c.to_us,
                SEGMENT.c.to_us >= ask.c.from_us,
                SEGMENT.c.known_at_us <= known_at_us,
            ),
        )
        count = sa.select(sa.func.coalesce(sa.func.sum(SEGMENT.c.readings), 0)).select_from(joined)
        query = (
            sa.select(ask.c.i, SEGMENT)
            .select_from(joined)
            .order_by(SEGMENT.c.known_at_us, SEGMENT.c.from_us)
        )
        async with self._database.connect() as connection:
            if (await connection.execute(count)).scalar_one() > MAX_READINGS:
                raise LimitExceededError(
                    f"the windows hold more than {MAX_READINGS} readings",
                    hint="ask for shorter windows, or fewer",
                )
            for row in (await connection.execute(query)).mappings():
                signal = SignalId(row["signal_id"])
                parts[row["i"]].setdefault(signal, []).append(_series_of(row))

    async def baselines(
        self, tenant: Tenant, windows: Sequence[Window], *, known_at_us: int = LATEST
    ) -> list[tuple[HeldBaseline, ...]]:
        """See `EnergyStore.baselines`."""
        wanted = sorted({str(window.asset_id) for window in windows})
        query = (
            sa.select(BASELINE)
            .where(
                BASELINE.c.tenant == str(tenant),
                BASELINE.c.asset_id.in_(wanted),
                BASELINE.c.recorded_from_us <= known_at_us,
                BASELINE.c.recorded_to_us > known_at_us,
            )
            .order_by(BASELINE.c.valid_from_us)
        )
        by_asset: dict[str, list[HeldBaseline]] = {}
        async with self._database.connect() as connection:
            for row in (await connection.execute(query)).mappings():
                by_asset.setdefault(row["asset_id"], []).append(_held(row))
        return [
            tuple(
                held
                for held in by_asset.get(str(window.asset_id), ())
                if held.baseline.period.from_us < window.to_us
                and held.baseline.period.to_us > window.from_us
            )
            for window in windows
        ]

    async def baseline(
        self, tenant: Tenant, baseline_id: str, *, known_at_us: int = LATEST
    ) -> HeldBaseline | None:
        """See `EnergyStore.baseline`."""
        query = (
            sa.select(BASELINE)
            .where(
                BASELINE.c.tenant == str(tenant),
                BASELINE.c.baseline_id == baseline_id[:128],
                BASELINE.c.recorded_from_us <= known_at_us,
            )
            .order_by(BASELINE.c.recorded_from_us.desc())
            .limit(1)
        )
        async with self._database.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else _held(row)

    async def forget(self, *, known_before_us: int) -> int:
        """See `EnergyStore.forget`."""
        query = sa.delete(SEGMENT).where(SEGMENT.c.known_at_us < known_before_us)
        async with self._database.begin() as connection:
            return int((await connection.execute(query)).rowcount)

    async def change(self, change: BaselineChange) -> None:
        """See `EnergyStore.change`."""
        async with self._database.begin() as connection:
            recorded_us = to_us(await self._recorded.tick())
            for ended in change.ended:
                await connection.execute(
                    sa.update(BASELINE)
                    .where(
                        BASELINE.c.tenant == str(ended.baseline.tenant),
                        BASELINE.c.asset_id == str(ended.baseline.asset_id),
                        BASELINE.c.valid_from_us == ended.baseline.period.from_us,
                        BASELINE.c.recorded_to_us == OPEN_US,
                    )
                    .values(recorded_to_us=recorded_us)
                )
            rows = [_baseline_row(baseline, recorded_us) for baseline in change.begun]
            if rows:
                await connection.execute(sa.insert(BASELINE), rows)
            trace = tracing.traceparent()
            await self._outbox.add(
                wire.baseline_learned(
                    HeldBaseline(baseline, recorded_us), superseded_id=old, traceparent=trace
                )
                for baseline, old in change.announced
            )


def _segment_rows(segment: Segment) -> Iterator[dict[str, Any]]:
    """Return the rows of a segment: one per day that it touches."""
    series = segment.series
    days = series.times_us // MAX_SEGMENT_US
    bounds = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), series.size]
    for first, last in itertools.pairwise(bounds):
        if first == last:
            continue
        times = series.times_us[first:last]
        yield {
            "tenant": str(segment.tenant),
            "signal_id": str(segment.use.signal_id),
            "from_us": int(times[0]),
            "to_us": int(times[-1]),
            "known_at_us": segment.known_at_us,
            "readings": int(times.size),
            "times": times.astype("<i8").tobytes(),
            "values": series.values[first:last].astype("<f8").tobytes(),
            "grades": series.grades[first:last].astype("u1").tobytes(),
        }


def _series_of(row: Any) -> Series:  # noqa: ANN401 - a driver's row
    return Series(
        np.frombuffer(row["times"], "<i8"),
        np.frombuffer(row["values"], "<f8"),
        np.frombuffer(row["grades"], "u1"),
    )


def _cut(series: Series, window: Window) -> Series:
    first, last = np.searchsorted(series.times_us, [window.from_us, window.to_us])
    return Series(series.times_us[first:last], series.values[first:last], series.grades[first:last])


def _baseline_row(baseline: Baseline, recorded_us: int) -> dict[str, Any]:
    return {
        "baseline_id": baseline.baseline_id,
        "tenant": str(baseline.tenant),
        "asset_id": str(baseline.asset_id),
        "configuration_id": baseline.period.configuration_id,
        "valid_from_us": baseline.period.from_us,
        "valid_to_us": baseline.period.to_us,
        "recorded_from_us": recorded_us,
        "recorded_to_us": OPEN_US,
        "document": asdict(baseline.learned),
    }


def _held(row: Any) -> HeldBaseline:  # noqa: ANN401 - a driver's row
    return HeldBaseline(
        Baseline(
            Tenant(row["tenant"]),
            AssetId(row["asset_id"]),
            ConfigurationPeriod(row["configuration_id"], row["valid_from_us"], row["valid_to_us"]),
            Learned(**row["document"]),
        ),
        row["recorded_from_us"],
        row["recorded_to_us"],
    )
