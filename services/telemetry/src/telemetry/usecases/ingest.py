"""Take raw messages into account: resolve, check, store, publish, write down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from telemetry.decide.checks import US
from telemetry.decide.dedupe import Fate
from telemetry.decide.ingest import Refusal, Settled, behind_watermark, screen, settle
from telemetry.decide.resolve import assign, wanted
from telemetry.model.ingest import BatchOutcome, Counts, Cursor
from telemetry.model.pipeline import Movement
from telemetry.model.quarantine import UNRESOLVED, QuarantineRow, Reason, quarantine_id
from telemetry.model.raw import RawBlock
from telemetry.model.reading import Indices, Ints, Readings, StoredKeys, Tail
from telemetry.model.signal import Signal
from telemetry.ports import Ledger, ReadingStore, SignalDirectory, Span, TruthStream
from telemetry.usecases.board import SignalBoard
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.ports.clock import Clock

MAX_TAILS: Final = 200_000
"""Signals whose newest reading is remembered; beyond it they are looked up again."""

_DETAILS: Final[dict[Reason, str]] = {
    Reason.NOT_A_NUMBER: "the value is NaN, infinite or missing",
    Reason.FUTURE: "the stamp runs ahead of the plant's clock",
    Reason.TOO_OLD: "the stamp lies before any plausible history",
}


@dataclass(frozen=True, slots=True)
class StampLimits:
    """Which stamps are plausible.

    Attributes:
        future_plant_s: Plant seconds that a stamp may run ahead of the plant's clock.
        future_wall_s: Wall seconds on top, multiplied by the speed of the plant's clock.
        max_age_s: Plant seconds that a stamp may lie behind it.
    """

    future_plant_s: float = 60.0
    future_wall_s: float = 1.0
    max_age_s: float = 100 * 365.25 * 86_400


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one block came to."""

    cursor: Cursor
    counts: dict[str, Counts]
    messages_published: int


class IngestBlock:
    """Takes one block of consecutive raw messages into account, exactly once.

    The order makes a crash harmless at any point: store, publish, and only then write the cursor,
    the counts and the quarantine down in one transaction. Whatever was stored before a crash is
    recognised by its place in the raw stream when the messages come again; whatever was published
    is published again, with the same readings in the same order.
    """

    def __init__(
        self,
        *,
        stream: str,
        store: ReadingStore,
        directory: SignalDirectory,
        truth: TruthStream,
        ledger: Ledger,
        board: SignalBoard,
        clock: Clock,
        limits: StampLimits,
    ) -> None:
        self._stream = stream
        self._store = store
        self._directory = directory
        self._truth = truth
        self._ledger = ledger
        self._board = board
        self._clock = clock
        self._limits = limits
        self._tails: dict[str, Tail | None] = {}

    async def __call__(self, block: RawBlock, before: Cursor) -> IngestReport:
        """Take the block into account.

        Args:
            block: The messages that follow the cursor.
            before: Where the cursor stands.

        Raises:
            UnavailableError: Store, stream, registry or ledger did not answer; safe to repeat.
            ConflictError: Another worker moved the cursor; begin again from there.
        """
        try:
            return await self._ingest(block, before)
        except BaseException:
            # What was stored is uncertain now; the store knows.
            self._tails.clear()
            raise

    async def _ingest(self, block: RawBlock, before: Cursor) -> IngestReport:
        raw = block.readings
        way = _Way(self._board, self._clock)
        way.arrived({(name.tenant, name.source) for name in raw.names}, block.stamped_us)
        resolutions = await self._directory.resolve(wanted(raw))
        assigned = assign(raw, resolutions)
        screened = screen(
            raw.take(assigned.positions),
            signals=assigned.signals,
            signal_ix=assigned.signal_ix,
            observed_us=assigned.observed_us,
            tolerance_us=self._tolerances(assigned.signals, block.speeds),
            max_age_us=round(self._limits.max_age_s * US),
        )
        way.passed(screened.candidates, "resolve_us")
        settled = await self._settle(screened.candidates, before, block.epoch)
        if len(settled.insert):
            await self._store.insert(settled.insert, epoch=block.epoch)
        way.passed(settled.publish, "store_us")
        published = 0
        if len(settled.publish):
            published = await self._truth.publish(settled.publish, epoch=block.epoch)
        way.passed(settled.publish, "publish_us")
        refusals = [
            *assigned.refusals,
            *(replace(r, positions=assigned.positions[r.positions]) for r in screened.refusals),
        ]
        quarantine = self._rows(block, refusals)
        counts = tally(block, screened.candidates, settled, quarantine)
        after = before.at(last_seq=block.last_seq, recorded_us=settled.recorded_us)
        await self._ledger.commit(
            BatchOutcome(
                stream=self._stream,
                before=before,
                after=after,
                counts=counts,
                quarantine=quarantine,
                replayed=tuple(row.quarantine_id for row in block.replays),
                signals=assigned.signals,
                movements=way.movements(),
            )
        )
        self._remember(screened.candidates.signals, settled)
        return IngestReport(after, counts, published)

    def _tolerances(self, signals: tuple[Signal, ...], speeds: Mapping[str, float]) -> Ints:
        limits = self._limits
        tolerance_s = [
            limits.future_plant_s + limits.future_wall_s * speeds.get(s.tenant, 1.0)
            for s in signals
        ]
        return (np.array(tolerance_s, np.float64) * US).astype(np.int64)

    async def _settle(self, candidates: Readings, before: Cursor, epoch: int) -> Settled:
        ids = list(dict.fromkeys(s.signal_id for s in candidates.signals))
        number_of: dict[str, int] = {one: number for number, one in enumerate(ids)}
        identity = np.array([number_of[s.signal_id] for s in candidates.signals], np.int64)
        tails = await self._newest(candidates.signals, number_of)
        behind = behind_watermark(candidates, identity, tails)
        stored = StoredKeys.none()
        if behind.any():
            stored = await self._stored(candidates.take(behind), identity, epoch)
        recorded_us = max(self._wall_us(), before.recorded_us + 1)
        return settle(
            candidates, identity=identity, tails=tails, stored=stored, recorded_us=recorded_us
        )

    async def _newest(
        self, signals: tuple[Signal, ...], number_of: dict[str, int]
    ) -> dict[int, Tail]:
        """Return the newest stored readings, looked up once per signal and then remembered."""
        unknown = [s for s in signals if s.signal_id not in self._tails]
        if unknown:
            if len(self._tails) + len(unknown) > MAX_TAILS:
                self._tails.clear()
                unknown = list(signals)
            found = await self._store.tails(unknown)
            for signal in unknown:
                self._tails[signal.signal_id] = found.get(signal.signal_id)
        newest = {number: self._tails[one] for one, number in number_of.items()}
        return {number: tail for number, tail in newest.items() if tail is not None}

    async def _stored(self, behind: Readings, identity: Indices, epoch: int) -> StoredKeys:
        number = identity[behind.signal_ix]
        spans: list[Span] = []
        numbers: list[int] = []
        for one in np.unique(number):
            rows = number == one
            moments = behind.observed_us[rows]
            signal = behind.signals[int(behind.signal_ix[np.argmax(rows)])]
            spans.append(Span(signal, int(moments.min()), int(moments.max())))
            numbers.append(int(one))
        keys = await self._store.stored(spans, epoch=epoch)
        return replace(keys, signal_ix=np.array(numbers, np.int64)[keys.signal_ix])

    def _rows(self, block: RawBlock, refusals: Sequence[Refusal]) -> tuple[QuarantineRow, ...]:
        """Return what is set aside, in order of arrival."""
        rows = [
            _row(block, refusal, positions)
            for refusal in refusals
            for positions in _together(block, refusal)
        ]
        return tuple(sorted((*block.refused, *rows), key=lambda row: (row.raw_seq, row.raw_ix)))

    def _remember(self, signals: tuple[Signal, ...], settled: Settled) -> None:
        ids = list(dict.fromkeys(s.signal_id for s in signals))
        by_id = {s.signal_id: s for s in signals}
        for number, tail in settled.tails.items():
            self._tails[ids[number]] = tail
            self._board.note(by_id[ids[number]], tail)

    def _wall_us(self) -> int:
        return to_us(self._clock.wall_now())


class _Way:
    """Notes, hop by hop, which sources' data moved: at once on the board, later in the ledger."""

    def __init__(self, board: SignalBoard, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._sources: list[tuple[str, str]] = []

    def arrived(self, sources: set[tuple[str, str]], stamped_us: int) -> None:
        """Note that the stream delivered data of these sources."""
        self._sources = sorted(sources)
        for hop in ("door_us", "stream_us"):
            self._board.moved(self._sources, hop=hop, at_us=stamped_us)

    def passed(self, readings: Readings, hop: str) -> None:
        """Note that a hop passed these readings on."""
        signals = [readings.signals[int(i)] for i in np.unique(readings.signal_ix)]
        sources = {(signal.tenant, signal.source) for signal in signals}
        self._board.moved(sources, hop=hop, at_us=to_us(self._clock.wall_now()))

    def movements(self) -> tuple[Movement, ...]:
        """Return where the sources of this block stand."""
        return tuple(self._board.movement(Movement(*source)) for source in self._sources)


def _together(block: RawBlock, refusal: Refusal) -> list[Indices]:
    """Group refused readings into rows: of a batch, those of one unknown name stand together."""
    positions = refusal.positions
    if refusal.reason not in UNRESOLVED:
        return [positions[i : i + 1] for i in range(len(positions))]
    groups: list[Indices] = []
    seqs: Ints = block.readings.raw_seq[positions]
    replays = block.readings.replay_ix[positions]
    cuts = np.flatnonzero((seqs[1:] != seqs[:-1]) | (replays[1:] != replays[:-1])) + 1
    for group in np.split(positions, cuts):
        if block.payloads.is_batch(int(group[0])):
            groups.append(group)
        else:
            groups.extend(group[i : i + 1] for i in range(len(group)))
    return groups


def _row(block: RawBlock, refusal: Refusal, positions: Indices) -> QuarantineRow:
    readings = block.readings
    first = int(positions[0])
    name = readings.names[int(readings.name_ix[first])]
    payload = block.payloads.of([int(p) for p in positions])
    raw_seq, raw_ix = int(readings.raw_seq[first]), int(readings.raw_ix[first])
    return QuarantineRow(
        quarantine_id=quarantine_id(block.epoch, raw_seq, raw_ix),
        tenant=name.tenant,
        source=name.source,
        name=name.local,
        reason=refusal.reason,
        detail=refusal.detail or _DETAILS.get(refusal.reason, ""),
        payload=payload.data,
        payload_format=payload.format,
        headers=payload.headers,
        arrived_at=from_us(int(readings.arrived_us[first])),
        observed_us=int(readings.observed_us[first]),
        readings=len(positions),
        raw_seq=raw_seq,
        raw_ix=raw_ix,
    )


def tally(
    block: RawBlock,
    candidates: Readings,
    settled: Settled,
    quarantine: tuple[QuarantineRow, ...],
) -> dict[str, Counts]:
    """Count by tenant what became of a block.

    A replayed reading was received long ago: it leaves quarantine for what it becomes now.
    """
    stored: dict[str, int] = {}
    duplicate: dict[str, int] = {}
    for number, signal in enumerate(candidates.signals):
        mine = candidates.signal_ix == number
        copies = int((settled.fate[mine] == Fate.DUPLICATE).sum())
        duplicate[signal.tenant] = duplicate.get(signal.tenant, 0) + copies
        stored[signal.tenant] = stored.get(signal.tenant, 0) + int(mine.sum()) - copies
    refused: dict[str, int] = {}
    for row in quarantine:
        refused[row.tenant] = refused.get(row.tenant, 0) + row.readings
    replayed: dict[str, int] = {}
    for row in block.replays:
        replayed[row.tenant] = replayed.get(row.tenant, 0) + row.readings
    tenants = stored.keys() | duplicate.keys() | refused.keys() | replayed.keys()
    counts: dict[str, Counts] = {}
    for tenant in sorted(tenants):
        s, d, q = stored.get(tenant, 0), duplicate.get(tenant, 0), refused.get(tenant, 0)
        back = replayed.get(tenant, 0)
        counts[tenant] = Counts(
            received=s + d + q - back, stored=s, duplicate=d, quarantined=q - back
        )
    return counts
