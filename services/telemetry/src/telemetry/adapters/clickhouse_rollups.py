"""Aggregates in ClickHouse: from hours made in advance where they hold, from readings elsewhere."""

from typing import Final

import numpy as np
import pyarrow as pa

from telemetry.adapters.clickhouse import these
from telemetry.adapters.clickhouse_client import ClickHouse, column, moment, quoted, texts
from telemetry.adapters.clickhouse_retention import forget
from telemetry.model import quality
from telemetry.model.history import Point
from telemetry.model.reading import Ints
from telemetry.model.signal import Signal
from twinmesh_sdk.core.times import OPEN_US

HOUR_US: Final = 3_600_000_000
SPANS_PER_QUERY: Final = 500

# The newest version of each key, known at the time in question.
_VERSIONS: Final = """
    SELECT tenant, asset_id, signal_id, observed_at AS moment,
        argMax(value, recorded_at) AS v, argMax(status, recorded_at) AS s
    FROM readings WHERE {where} GROUP BY tenant, asset_id, signal_id, observed_at
"""
_SUMS: Final = f"""
    sumIf(v, s < {quality.BAD}) AS total, countIf(s < {quality.BAD}) AS usable,
    sum(v) AS all_total,
    if(usable > 0, minIf(v, s < {quality.BAD}), min(v)) AS minimum,
    if(usable > 0, maxIf(v, s < {quality.BAD}), max(v)) AS maximum,
    count() AS readings, countIf(s < {quality.UNCERTAIN}) AS good, max(s) AS status
"""


class ClickHouseRollupStore:
    """Implements `RollupStore`."""

    def __init__(self, database: ClickHouse) -> None:
        self._db = database

    async def forget(self, *, before_us: int) -> int:
        """See `Retained.forget`: by when an hour was last made."""
        return await forget(self._db, "readings_hourly", f"made_at < {moment(before_us)}")

    async def refresh(self, *, since_recorded_us: int, until_recorded_us: int) -> int:
        """See `RollupStore.refresh`. A reading recorded meanwhile is left to the next call."""
        table = await self._db.read(f"""
            SELECT DISTINCT toString(tenant) AS tenant, toString(asset_id) AS asset_id,
                toString(signal_id) AS signal_id,
                toUnixTimestamp64Micro(toDateTime64(toStartOfHour(observed_at), 6, 'UTC')) AS hour
            FROM readings WHERE recorded_at > {moment(since_recorded_us)}
                AND recorded_at <= {moment(until_recorded_us)}
            ORDER BY tenant, asset_id, signal_id, hour
        """)  # noqa: S608 - numbers only
        keys = list(
            zip(
                texts(table, "tenant"),
                texts(table, "asset_id"),
                texts(table, "signal_id"),
                strict=True,
            )
        )
        hours = column(table, "hour").astype(np.int64)
        spans = _contiguous(keys, hours)
        for at in range(0, len(spans), SPANS_PER_QUERY):
            await self._make(spans[at : at + SPANS_PER_QUERY], until_recorded_us)
        return len(hours)

    async def _make(self, spans: list[tuple[tuple[str, str, str], int, int]], mark: int) -> None:
        anywhere = " OR ".join(
            f"(tenant = {quoted(tenant)} AND asset_id = {quoted(asset)}"
            f" AND signal_id = {quoted(signal)} AND observed_at >= {moment(first)}"
            f" AND observed_at < {moment(last + HOUR_US)})"
            for (tenant, asset, signal), first, last in spans
        )
        where = f"({anywhere}) AND recorded_at <= {moment(mark)}"
        await self._db.command(f"""
            INSERT INTO readings_hourly
            SELECT tenant, asset_id, signal_id,
                toDateTime64(toStartOfHour(moment), 6, 'UTC') AS hour,
                total, usable, all_total, minimum, maximum, readings, good, status,
                {moment(mark)}
            FROM (
                SELECT tenant, asset_id, signal_id, toStartOfHour(moment) AS moment, {_SUMS}
                FROM ({_VERSIONS.format(where=where)})
                GROUP BY tenant, asset_id, signal_id, toStartOfHour(moment) AS moment
            )
        """)  # noqa: S608 - ids are checked by `quoted`

    async def aggregates(
        self,
        signal: Signal,
        *,
        start_us: int,
        end_us: int,
        step_us: int,
        known_at_us: int,
        mark_us: int,
        limit: int,
    ) -> list[Point]:
        """See `RollupStore.aggregates`.

        Hours that readings touched after they were made are aggregated again, so the answer is the
        same with and without them; with a `known_at` in the past, all of it comes from readings.
        """
        window = (
            f"{these(signal.tenant, [signal])} AND observed_at >= {moment(start_us)}"
            f" AND observed_at < {moment(end_us)}"
        )
        aligned = step_us % HOUR_US == 0 and start_us % HOUR_US == 0 and end_us % HOUR_US == 0
        if aligned and mark_us and known_at_us >= OPEN_US - 1:
            parts = self._hours(signal, window, start_us, end_us, mark_us)
        else:
            parts = self._raw(f"{window} AND recorded_at <= {moment(known_at_us)}", step_us)
        table = await self._db.read(f"""
            SELECT at_us - positiveModulo(at_us, {int(step_us)}) AS step, sum(total) AS total_,
                sum(usable) AS usable_, sum(all_total) AS all_total_,
                min(minimum) AS minimum_, max(maximum) AS maximum_,
                minIf(minimum, usable > 0) AS usable_minimum,
                maxIf(maximum, usable > 0) AS usable_maximum,
                sum(readings) AS readings_, sum(good) AS good_, max(status) AS status_
            FROM ({parts}) GROUP BY step ORDER BY step LIMIT {int(limit)}
        """)  # noqa: S608 - ids are checked by `quoted`
        return _points(table)

    def _raw(self, where: str, step_us: int) -> str:
        return f"""
            SELECT toUnixTimestamp64Micro(moment)
                    - positiveModulo(toUnixTimestamp64Micro(moment), {int(step_us)}) AS at_us,
                {_SUMS}
            FROM ({_VERSIONS.format(where=where)}) GROUP BY at_us
        """  # noqa: S608 - ids are checked by `quoted`

    def _hours(self, signal: Signal, window: str, start_us: int, end_us: int, mark_us: int) -> str:
        touched = f"""
            SELECT DISTINCT toStartOfHour(observed_at) FROM readings
            WHERE {window} AND recorded_at > {moment(mark_us)}
        """  # noqa: S608 - ids are checked by `quoted`
        again = self._raw(f"{window} AND toStartOfHour(observed_at) IN ({touched})", HOUR_US)
        return f"""
            SELECT toUnixTimestamp64Micro(hour) AS at_us, total, usable, all_total, minimum,
                maximum, readings, good, status
            FROM readings_hourly FINAL
            WHERE {these(signal.tenant, [signal])} AND hour >= {moment(start_us)}
                AND hour < {moment(end_us)} AND toDateTime(hour, 'UTC') NOT IN ({touched})
            UNION ALL {again}
        """  # noqa: S608 - ids are checked by `quoted`


def _contiguous(
    keys: list[tuple[str, str, str]], hours: Ints
) -> list[tuple[tuple[str, str, str], int, int]]:
    """Join neighbouring hours of one signal: its first and its last hour."""
    spans: list[tuple[tuple[str, str, str], int, int]] = []
    for key, hour in zip(keys, hours.tolist(), strict=True):
        if spans and spans[-1][0] == key and spans[-1][2] + HOUR_US == hour:
            spans[-1] = (key, spans[-1][1], hour)
        else:
            spans.append((key, hour, hour))
    return spans


def _points(table: pa.Table) -> list[Point]:
    names = (
        "step", "total_", "usable_", "all_total_", "minimum_", "maximum_", "usable_minimum",
        "usable_maximum", "readings_", "good_", "status_",
    )  # fmt: skip
    rows = zip(*(column(table, name) for name in names), strict=True)
    points: list[Point] = []
    for at, total, usable, everything, low, high, usable_low, usable_high, count, good, s in rows:
        some = usable > 0
        points.append(
            Point(
                at_us=int(at),
                mean=float(total / usable if some else everything / count),
                minimum=float(usable_low if some else low),
                maximum=float(usable_high if some else high),
                count=int(count),
                good=int(good),
                status=int(s),
            )
        )
    return points
