"""Readings in ClickHouse: raw for ever, latest by event time, history and aggregates."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from telemetry.adapters.clickhouse_client import ClickHouse, column, moment, quoted, texts
from telemetry.adapters.clickhouse_retention import forget
from telemetry.model import quality
from telemetry.model.history import LatestReading, Point
from telemetry.model.reading import Ints, Readings, StoredKeys, Tail
from telemetry.model.signal import Signal
from telemetry.ports import Span

SPANS_PER_QUERY: Final = 500
RECENT_US: Final = 2 * 86_400 * 1_000_000
"""Most values asked for are this young; only for the others the whole history is searched."""

_LATEST_COLUMNS: Final = """
    signal_id, value, status, toUnixTimestamp64Micro(observed_at) AS observed_us,
    toUnixTimestamp64Micro(arrived_at) AS arrived_us,
    toUnixTimestamp64Micro(advanced_at) AS advanced_us,
    toUnixTimestamp64Micro(recorded_at) AS recorded_us, flags
"""


class ClickHouseReadingStore:
    """Implements `ReadingStore`."""

    def __init__(self, database: ClickHouse) -> None:
        self._db = database

    async def insert(self, readings: Readings, *, epoch: int) -> None:
        """See `ReadingStore.insert`. The token is made of the places in the raw stream."""
        if len(readings) == 0:
            return
        places = hashlib.sha256(epoch.to_bytes(8, "big", signed=True))
        places.update(readings.raw_seq.astype("<i8").tobytes())
        places.update(readings.raw_ix.astype("<i8").tobytes())
        await self._db.insert("readings", _to_arrow(readings, epoch), token=places.hexdigest())

    async def forget(self, *, before_us: int) -> int:
        """See `Retained.forget`."""
        return await forget(self._db, "readings", f"recorded_at < {moment(before_us)}")

    async def tails(self, signals: Sequence[Signal]) -> dict[str, Tail]:
        """See `ReadingStore.tails`."""
        newest: dict[str, Tail] = {}
        for tenant, mine in _by_tenant(signals):
            newest |= {
                signal_id: tail
                for (_, signal_id), tail in (await self._tails(these(tenant, mine))).items()
            }
        return newest

    async def all_tails(self) -> dict[tuple[str, str], Tail]:
        """See `ReadingStore.all_tails`."""
        return await self._tails("1")

    async def _tails(self, which: str) -> dict[tuple[str, str], Tail]:
        table = await self._db.read(f"""
            SELECT toString(tenant) AS owner, toString(signal_id) AS id,
                toUnixTimestamp64Micro(max(observed_at)) AS observed_us,
                tupleElement(newest, 1) AS last_value, tupleElement(newest, 2) AS last_sequence,
                tupleElement(newest, 3) AS advanced_us, tupleElement(newest, 4) AS last_repeats,
                argMax(tuple(value, sequence, toUnixTimestamp64Micro(advanced_at), repeats),
                    tuple(observed_at, recorded_at)) AS newest
            FROM readings WHERE {which} GROUP BY tenant, signal_id
            SETTINGS optimize_aggregation_in_order = 1
        """)  # noqa: S608 - ids are checked by `quoted`
        rows = zip(
            texts(table, "owner"),
            texts(table, "id"),
            column(table, "observed_us"),
            column(table, "last_value"),
            column(table, "last_sequence"),
            column(table, "advanced_us"),
            column(table, "last_repeats"),
            strict=True,
        )
        return {
            (tenant, signal_id): Tail(int(o), float(v), int(s), int(a), int(r))
            for tenant, signal_id, o, v, s, a, r in rows
        }

    async def stored(self, spans: Sequence[Span], *, epoch: int) -> StoredKeys:
        """See `ReadingStore.stored`."""
        parts: list[StoredKeys] = []
        numbered = list(enumerate(spans))
        for tenant in sorted({span.signal.tenant for span in spans}):
            mine = [(n, span) for n, span in numbered if span.signal.tenant == tenant]
            parts += [
                await self._stored(tenant, mine[at : at + SPANS_PER_QUERY], epoch)
                for at in range(0, len(mine), SPANS_PER_QUERY)
            ]
        if not parts:
            return StoredKeys.none()
        return StoredKeys(
            signal_ix=np.concatenate([p.signal_ix for p in parts]),
            observed_us=np.concatenate([p.observed_us for p in parts]),
            value=np.concatenate([p.value for p in parts]),
            source_status=np.concatenate([p.source_status for p in parts]),
            raw_seq=np.concatenate([p.raw_seq for p in parts]),
            raw_ix=np.concatenate([p.raw_ix for p in parts]),
        )

    async def _stored(
        self, tenant: str, spans: Sequence[tuple[int, Span]], epoch: int
    ) -> StoredKeys:
        place = {span.signal.signal_id: number for number, span in spans}
        anywhere = " OR ".join(
            f"(asset_id = {quoted(span.signal.asset_id)}"
            f" AND signal_id = {quoted(span.signal.signal_id)}"
            f" AND observed_at >= {moment(span.first_us)}"
            f" AND observed_at <= {moment(span.last_us)})"
            for _, span in spans
        )
        names = ", ".join(quoted(one) for one in place)
        numbers = ", ".join(str(number) for number in place.values())
        table = await self._db.read(f"""
            SELECT toInt64(transform(toString(signal_id), [{names}], [{numbers}], -1)) AS place,
                toUnixTimestamp64Micro(observed_at) AS observed_us, value, source_status,
                if(raw_epoch = {int(epoch)}, raw_seq, toInt64(-1)) AS own_seq, raw_ix
            FROM readings WHERE tenant = {quoted(tenant)} AND ({anywhere})
        """)  # noqa: S608 - ids are checked by `quoted`
        return StoredKeys(
            signal_ix=column(table, "place").astype(np.int64),
            observed_us=column(table, "observed_us").astype(np.int64),
            value=column(table, "value").astype(np.float64),
            source_status=column(table, "source_status").astype(np.uint32),
            raw_seq=column(table, "own_seq").astype(np.int64),
            raw_ix=column(table, "raw_ix").astype(np.int64),
        )

    async def latest(
        self, signals: Sequence[Signal], *, as_of_us: int, known_at_us: int
    ) -> dict[str, LatestReading]:
        """See `ReadingStore.latest`: one query, a second one for signals silent for long."""
        found: dict[str, LatestReading] = {}
        for tenant, mine in _by_tenant(signals):
            for since_us in (as_of_us - RECENT_US, None):
                missing = [s for s in mine if s.signal_id not in found]
                if missing:
                    found |= await self._latest(tenant, missing, since_us, as_of_us, known_at_us)
        return found

    async def _latest(
        self,
        tenant: str,
        signals: Sequence[Signal],
        since_us: int | None,
        as_of_us: int,
        known_at_us: int,
    ) -> dict[str, LatestReading]:
        since = "" if since_us is None else f"AND observed_at > {moment(since_us)}"
        table = await self._db.read(f"""
            SELECT {_LATEST_COLUMNS} FROM readings
            WHERE {these(tenant, signals)} {since} AND observed_at <= {moment(as_of_us)}
                AND recorded_at <= {moment(known_at_us)}
            ORDER BY readings.observed_at DESC, readings.recorded_at DESC LIMIT 1 BY signal_id
        """)  # noqa: S608 - ids are checked by `quoted`
        rows = zip(
            texts(table, "signal_id"),
            *(
                column(table, name)
                for name in (
                    "value",
                    "status",
                    "observed_us",
                    "arrived_us",
                    "advanced_us",
                    "recorded_us",
                    "flags",
                )
            ),
            strict=True,
        )
        return {
            signal_id: LatestReading(float(v), int(st), int(o), int(ar), int(ad), int(rec), int(f))
            for signal_id, v, st, o, ar, ad, rec, f in rows
        }

    async def history(
        self, signal: Signal, *, start_us: int, end_us: int, known_at_us: int, limit: int
    ) -> list[Point]:
        """See `ReadingStore.history`."""
        table = await self._db.read(f"""
            SELECT toUnixTimestamp64Micro(observed_at) AS at, value, status FROM readings
            WHERE {these(signal.tenant, [signal])} AND observed_at >= {moment(start_us)}
                AND observed_at < {moment(end_us)} AND recorded_at <= {moment(known_at_us)}
            ORDER BY readings.observed_at, readings.recorded_at DESC LIMIT 1 BY observed_at
            LIMIT {int(limit)}
        """)  # noqa: S608 - ids are checked by `quoted`
        return [
            Point(
                at_us=int(at),
                mean=float(value),
                minimum=float(value),
                maximum=float(value),
                count=1,
                good=int(status < quality.UNCERTAIN),
                status=int(status),
            )
            for at, value, status in zip(
                column(table, "at"), column(table, "value"), column(table, "status"), strict=True
            )
        ]


def _by_tenant(signals: Sequence[Signal]) -> Iterable[tuple[str, list[Signal]]]:
    for tenant in sorted({s.tenant for s in signals}):
        yield tenant, [s for s in signals if s.tenant == tenant]


def these(tenant: str, signals: Sequence[Signal]) -> str:
    """Return the condition that selects signals, in the order of the table's key."""
    assets = ", ".join(sorted({quoted(s.asset_id) for s in signals}))
    ids = ", ".join(sorted({quoted(s.signal_id) for s in signals}))
    return f"tenant = {quoted(tenant)} AND asset_id IN ({assets}) AND signal_id IN ({ids})"


def _to_arrow(readings: Readings, epoch: int) -> pa.Table:
    signals = readings.signals

    def dictionary(values: list[str]) -> pa.DictionaryArray:
        # ClickHouse refuses a dictionary that holds a value twice.
        distinct, place = np.unique(np.array(values, object), return_inverse=True)
        index = pa.array(place[readings.signal_ix].astype(np.int32))
        return pa.DictionaryArray.from_arrays(index, pa.array(distinct, pa.string()))

    def times(us: Ints) -> pa.Array:
        return pa.array(us).cast(pa.timestamp("us", tz="UTC"))

    return pa.table(
        {
            "tenant": dictionary([s.tenant for s in signals]),
            "asset_id": dictionary([s.asset_id for s in signals]),
            "signal_id": dictionary([s.signal_id for s in signals]),
            "observed_at": times(readings.observed_us),
            "recorded_at": times(readings.recorded_us),
            "value": readings.value,
            "status": readings.status,
            "source_status": readings.source_status,
            "flags": readings.flags,
            "sequence": readings.sequence,
            "arrived_at": times(readings.arrived_us),
            "advanced_at": times(readings.advanced_us),
            "repeats": readings.repeats,
            "raw_epoch": np.full(len(readings), epoch, np.int64),
            "raw_seq": readings.raw_seq,
            "raw_ix": readings.raw_ix,
        }
    )
