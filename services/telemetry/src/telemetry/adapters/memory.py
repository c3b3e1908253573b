"""A reading store in memory: what the contract suite holds beside ClickHouse; for tests only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from telemetry.model import quality
from telemetry.model.history import LatestReading, Point
from telemetry.model.reading import Readings, StoredKeys, Tail
from telemetry.model.signal import Signal
from telemetry.ports import Span


@dataclass(frozen=True, slots=True)
class _Row:
    tenant: str
    signal_id: str
    observed_us: int
    recorded_us: int
    value: float
    status: int
    source_status: int
    flags: int
    sequence: int
    arrived_us: int
    advanced_us: int
    repeats: int
    epoch: int
    raw_seq: int
    raw_ix: int


class MemoryReadingStore:
    """Implements `ReadingStore`."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.calls = 0

    async def forget(self, *, before_us: int) -> int:
        """See `Retained.forget`."""
        count = len(self.rows)
        self.rows = [row for row in self.rows if row.recorded_us >= before_us]
        return count - len(self.rows)

    async def insert(self, readings: Readings, *, epoch: int) -> None:
        """See `ReadingStore.insert`."""
        self.calls += 1
        there = {(r.epoch, r.raw_seq, r.raw_ix) for r in self.rows}
        for i in range(len(readings)):
            key = (epoch, int(readings.raw_seq[i]), int(readings.raw_ix[i]))
            if key in there:
                continue
            signal = readings.signals[int(readings.signal_ix[i])]
            self.rows.append(
                _Row(
                    tenant=signal.tenant,
                    signal_id=signal.signal_id,
                    observed_us=int(readings.observed_us[i]),
                    recorded_us=int(readings.recorded_us[i]),
                    value=float(readings.value[i]),
                    status=int(readings.status[i]),
                    source_status=int(readings.source_status[i]),
                    flags=int(readings.flags[i]),
                    sequence=int(readings.sequence[i]),
                    arrived_us=int(readings.arrived_us[i]),
                    advanced_us=int(readings.advanced_us[i]),
                    repeats=int(readings.repeats[i]),
                    epoch=epoch,
                    raw_seq=key[1],
                    raw_ix=key[2],
                )
            )

    async def tails(self, signals: Sequence[Signal]) -> dict[str, Tail]:
        """See `ReadingStore.tails`."""
        self.calls += 1
        wanted = {(s.tenant, s.signal_id) for s in signals}
        return {k[1]: t for k, t in (await self.all_tails()).items() if k in wanted}

    async def all_tails(self) -> dict[tuple[str, str], Tail]:
        """See `ReadingStore.all_tails`."""
        newest: dict[tuple[str, str], _Row] = {}
        for row in self.rows:
            key = (row.tenant, row.signal_id)
            known = newest.get(key)
            if known is None or _age(known) < _age(row):
                newest[key] = row
        return {
            key: Tail(r.observed_us, r.value, r.sequence, r.advanced_us, r.repeats)
            for key, r in newest.items()
        }

    async def stored(self, spans: Sequence[Span], *, epoch: int) -> StoredKeys:
        """See `ReadingStore.stored`."""
        self.calls += 1
        found = [
            (number, row)
            for number, span in enumerate(spans)
            for row in self.rows
            if (row.tenant, row.signal_id) == (span.signal.tenant, span.signal.signal_id)
            and span.first_us <= row.observed_us <= span.last_us
        ]
        return StoredKeys(
            signal_ix=np.array([n for n, _ in found], np.int64),
            observed_us=np.array([r.observed_us for _, r in found], np.int64),
            value=np.array([r.value for _, r in found], np.float64),
            source_status=np.array([r.source_status for _, r in found], np.uint32),
            raw_seq=np.array([r.raw_seq if r.epoch == epoch else -1 for _, r in found], np.int64),
            raw_ix=np.array([r.raw_ix for _, r in found], np.int64),
        )

    async def latest(
        self, signals: Sequence[Signal], *, as_of_us: int, known_at_us: int
    ) -> dict[str, LatestReading]:
        """See `ReadingStore.latest`."""
        self.calls += 1
        found: dict[str, LatestReading] = {}
        for signal in signals:
            rows = [
                r
                for r in self._of(signal)
                if r.observed_us <= as_of_us and r.recorded_us <= known_at_us
            ]
            if rows:
                r = max(rows, key=_age)
                found[signal.signal_id] = LatestReading(
                    r.value,
                    r.status,
                    r.observed_us,
                    r.arrived_us,
                    r.advanced_us,
                    r.recorded_us,
                    r.flags,
                )
        return found

    async def history(
        self, signal: Signal, *, start_us: int, end_us: int, known_at_us: int, limit: int
    ) -> list[Point]:
        """See `ReadingStore.history`."""
        self.calls += 1
        versions: dict[int, _Row] = {}
        for row in sorted(self._of(signal), key=_age):
            if start_us <= row.observed_us < end_us and row.recorded_us <= known_at_us:
                versions[row.observed_us] = row
        return [
            Point(r.observed_us, r.value, r.value, r.value, 1, int(r.status < quality.UNCERTAIN),
                  r.status)
            for r in versions.values()
        ][:limit]  # fmt: skip

    def _of(self, signal: Signal) -> list[_Row]:
        mine = (signal.tenant, signal.signal_id)
        return [r for r in self.rows if (r.tenant, r.signal_id) == mine]


def _age(row: _Row) -> tuple[int, int]:
    return row.observed_us, row.recorded_us
