"""Messages of the raw stream to columns. The formats are documented in docs/reference/doors.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from telemetry.model import quality
from telemetry.model.quarantine import QuarantineRow, Reason, quarantine_id
from telemetry.model.raw import Payload, RawBlock, RawMessage
from telemetry.model.reading import MAX_INDEX, RawReadings
from telemetry.model.signal import ForeignName
from telemetry.wire.batch import decode_raw_batch, encode_raw_batch
from telemetry.wire.subjects import BATCH, REPLAY, Subject, parse_local_name, parse_subject
from telemetry.wire.values import Refused, load_object, read_sequence, read_time, read_value
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import from_us

JSON_FORMAT: Final = "json"
BATCH_FORMAT: Final = "raw-batch"
FORMAT_HEADER: Final = "Tm-Format"
_MAX_SUBJECTS: Final = 200_000
_DETAIL_CHARS: Final = 300

Arrival = Callable[[str, int], int]
"""Plant time of a tenant, UTC microseconds, at a wall time in UTC microseconds."""


class _At(NamedTuple):
    """Where a payload stands: its message, its first place in it, and whom it replays."""

    seq: int
    arrived_us: int
    raw_ix: int = 0
    replay_ix: int = -1


@dataclass(slots=True)
class _Columns:
    """Columns under construction."""

    name_ix: list[int]
    observed_us: list[int]
    zoneless: list[bool]
    value: list[float]
    status: list[int]
    sequence: list[int]
    arrived_us: list[int]
    raw_seq: list[int]
    raw_ix: list[int]
    replay_ix: list[int]

    @classmethod
    def empty(cls) -> "_Columns":
        return cls([], [], [], [], [], [], [], [], [], [])


class BlockDecoder:
    """Decodes consecutive messages into one block. Keeps what it learned about subjects."""

    def __init__(self) -> None:
        self._subjects: dict[str, Subject] = {}

    def subject(self, text: str) -> Subject:
        """Return a subject taken apart, remembered."""
        known = self._subjects.get(text)
        if known is None:
            if len(self._subjects) >= _MAX_SUBJECTS:
                self._subjects.clear()
            known = self._subjects[text] = parse_subject(text)
        return known

    def replay_ids(self, messages: Sequence[RawMessage]) -> dict[str, list[str]]:
        """Return the quarantine ids that these messages want replayed, by tenant."""
        wanted: dict[str, list[str]] = {}
        for message in messages:
            subject = self.subject(message.subject)
            if subject.kind == REPLAY:
                wanted.setdefault(subject.tenant, []).extend(_ids_of(message))
        return wanted

    def decode(
        self,
        messages: Sequence[RawMessage],
        *,
        epoch: int,
        arrival: Arrival,
        replays: Mapping[str, QuarantineRow],
        speeds: Mapping[str, float] | None = None,
    ) -> RawBlock:
        """Decode consecutive messages.

        Args:
            messages: At least one, ascending.
            epoch: Incarnation of the stream.
            arrival: Plant time of a tenant at a wall time.
            replays: Quarantine rows that the messages want replayed and that still wait, by id.
            speeds: Plant seconds per wall second, by tenant.

        Returns:
            Every reading of every message exactly once: in the columns, or among `refused`.
        """
        work = _BlockUnderWork(self, epoch=epoch, arrival=arrival, replays=replays)
        for message in messages:
            work.add(message)
        return work.block(messages, speeds or {})


def _ids_of(message: RawMessage) -> list[str]:
    try:
        ids = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return []
    return [i for i in ids[:1000] if isinstance(i, str)] if isinstance(ids, list) else []


class _BlockUnderWork:
    """One block while it is decoded; also finds payloads again (`Payloads`)."""

    def __init__(
        self,
        decoder: BlockDecoder,
        *,
        epoch: int,
        arrival: Arrival,
        replays: Mapping[str, QuarantineRow],
    ) -> None:
        self._decoder = decoder
        self._epoch = epoch
        self._arrival = arrival
        self._replays = replays
        self._used: dict[str, int] = {}
        self._rows: list[QuarantineRow] = []
        self._names: dict[ForeignName, int] = {}
        self._refused: list[QuarantineRow] = []
        self._columns = _Columns.empty()
        self._parts: list[RawReadings] = []
        self._messages: dict[int, RawMessage] = {}
        self._block: RawReadings | None = None
        self._traceparents: dict[str, None] = {}

    def add(self, message: RawMessage) -> None:
        """Take one message in."""
        self._messages[message.seq] = message
        subject = self._decoder.subject(message.subject)
        arrived_us = self._arrival(subject.tenant, message.stamped_us)
        if parent := message.headers.get("traceparent"):
            self._traceparents[parent] = None
        try:
            if subject.kind == "json" and subject.name is not None:
                self._add_json(subject.name, message.data, _At(message.seq, arrived_us))
            elif subject.kind == BATCH:
                self._add_batch(subject, message.data, _At(message.seq, arrived_us))
            elif subject.kind == REPLAY:
                self._add_replay(message, subject, arrived_us)
            else:
                raise Refused(
                    Reason.MALFORMED, f"subject {message.subject[:120]!r} is not a raw subject"
                )
        except Refused as refused:
            self._refuse(message, subject, refused, arrived_us)

    def _add_json(self, name: ForeignName, data: bytes, at: _At) -> None:
        document = load_object(data)
        value = read_value(document.get("value"))
        try:
            observed_us, zoneless = read_time(document.get("ts"))
        except InvalidInputError as error:
            raise Refused(Reason.BAD_TIME, str(error)) from error
        try:
            status = quality.status_of(document.get("quality"))
        except InvalidInputError as error:
            raise Refused(Reason.MALFORMED, str(error)) from error
        columns = self._columns
        columns.sequence.append(read_sequence(document.get("seq")))
        columns.name_ix.append(self._name_ix(name))
        columns.observed_us.append(observed_us)
        columns.zoneless.append(zoneless)
        columns.value.append(value)
        columns.status.append(status)
        columns.arrived_us.append(at.arrived_us)
        columns.raw_seq.append(at.seq)
        columns.raw_ix.append(at.raw_ix)
        columns.replay_ix.append(at.replay_ix)

    def _add_batch(self, subject: Subject, data: bytes, at: _At) -> int:
        batch = decode_raw_batch(data)
        count = len(batch.name_index)
        if at.raw_ix + count > MAX_INDEX:
            raise Refused(Reason.MALFORMED, f"more than {MAX_INDEX} readings in one message")
        local = np.array(
            [self._name_ix(_batch_name(subject, name)) for name in batch.names], np.int64
        )
        self._flush()
        self._parts.append(
            RawReadings(
                names=(),
                name_ix=local[batch.name_index] if count else np.empty(0, np.int64),
                observed_us=batch.observed_us,
                zoneless=np.zeros(count, bool),
                value=batch.value,
                source_status=batch.status,
                sequence=batch.sequence,
                arrived_us=np.full(count, at.arrived_us, np.int64),
                raw_seq=np.full(count, at.seq, np.int64),
                raw_ix=np.arange(at.raw_ix, at.raw_ix + count, dtype=np.int64),
                replay_ix=np.full(count, at.replay_ix, np.int64),
            )
        )
        return count

    def _add_replay(self, message: RawMessage, subject: Subject, arrived_us: int) -> None:
        """Put quarantined payloads through again, as they came; ids of others are ignored."""
        place = 0
        for wanted in _ids_of(message):
            row = self._replays.get(wanted)
            if row is None or row.tenant != subject.tenant or wanted in self._used:
                continue
            self._used[wanted] = number = len(self._rows)
            self._rows.append(row)
            at = _At(message.seq, arrived_us, place, number)
            origin = Subject(
                "json", row.tenant, row.source, parse_local_name(row.tenant, row.source, row.name)
            )
            try:
                if row.payload_format == BATCH_FORMAT:
                    place += self._add_batch(origin, row.payload, at)
                    continue
                if origin.name is None:
                    raise Refused(Reason.MALFORMED, row.detail)
                self._add_json(origin.name, row.payload, at)
            except Refused as refused:
                self._refuse_again(message, row, refused, arrived_us, place)
            place += 1

    def _refuse(
        self, message: RawMessage, subject: Subject, refused: Refused, arrived_us: int
    ) -> None:
        name = subject.name.local if subject.name else message.subject[:200]
        self._refused.append(
            QuarantineRow(
                quarantine_id=quarantine_id(self._epoch, message.seq, 0),
                tenant=subject.tenant,
                source=subject.source,
                name=name,
                reason=refused.reason,
                detail=str(refused)[:_DETAIL_CHARS],
                payload=message.data,
                payload_format=BATCH_FORMAT if subject.kind == BATCH else JSON_FORMAT,
                headers=_headers(message),
                arrived_at=from_us(arrived_us),
                raw_seq=message.seq,
            )
        )

    def _refuse_again(
        self,
        message: RawMessage,
        row: QuarantineRow,
        refused: Refused,
        arrived_us: int,
        place: int,
    ) -> None:
        self._refused.append(
            QuarantineRow(
                quarantine_id=quarantine_id(self._epoch, message.seq, place),
                tenant=row.tenant,
                source=row.source,
                name=row.name,
                reason=refused.reason,
                detail=str(refused)[:_DETAIL_CHARS],
                payload=row.payload,
                payload_format=row.payload_format,
                headers=row.headers,
                arrived_at=from_us(arrived_us),
                readings=row.readings,
                raw_seq=message.seq,
                raw_ix=place,
            )
        )

    def _name_ix(self, name: ForeignName) -> int:
        return self._names.setdefault(name, len(self._names))

    def _flush(self) -> None:
        """Turn the rows gathered so far into columns, so that order of arrival is kept."""
        columns = self._columns
        if not columns.name_ix:
            return
        self._parts.append(
            RawReadings(
                names=(),
                name_ix=np.array(columns.name_ix, np.int64),
                observed_us=np.array(columns.observed_us, np.int64),
                zoneless=np.array(columns.zoneless, bool),
                value=np.array(columns.value, np.float64),
                source_status=np.array(columns.status, np.uint32),
                sequence=np.array(columns.sequence, np.int64),
                arrived_us=np.array(columns.arrived_us, np.int64),
                raw_seq=np.array(columns.raw_seq, np.int64),
                raw_ix=np.array(columns.raw_ix, np.int64),
                replay_ix=np.array(columns.replay_ix, np.int64),
            )
        )
        self._columns = _Columns.empty()

    def block(self, messages: Sequence[RawMessage], speeds: Mapping[str, float]) -> RawBlock:
        """Return the finished block."""
        self._flush()
        names = tuple(self._names)
        self._block = _concatenated(names, self._parts)
        return RawBlock(
            epoch=self._epoch,
            first_seq=messages[0].seq,
            last_seq=messages[-1].seq,
            readings=self._block,
            refused=tuple(self._refused),
            replays=tuple(self._rows),
            payloads=self,
            stamped_us=max(m.stamped_us for m in messages),
            traceparents=tuple(self._traceparents)[:32],
            speeds=speeds,
        )

    def is_batch(self, position: int) -> bool:
        """See `Payloads.is_batch`."""
        readings = self._readings()
        replayed = int(readings.replay_ix[position])
        if replayed >= 0:
            return self._rows[replayed].payload_format == BATCH_FORMAT
        message = self._messages[int(readings.raw_seq[position])]
        return self._decoder.subject(message.subject).kind == BATCH

    def of(self, positions: Sequence[int]) -> Payload:
        """See `Payloads.of`: a message as it came, or an extract of a batch."""
        readings = self._readings()
        first = positions[0]
        message = self._messages[int(readings.raw_seq[first])]
        replayed = int(readings.replay_ix[first])
        headers = self._rows[replayed].headers if replayed >= 0 else _headers(message)
        if self.is_batch(first):
            extract = encode_raw_batch(readings.take(np.asarray(positions)))
            return Payload(extract, BATCH_FORMAT, headers)
        data = self._rows[replayed].payload if replayed >= 0 else message.data
        return Payload(data, JSON_FORMAT, headers)

    def _readings(self) -> RawReadings:
        if self._block is None:
            raise RuntimeError("the block is not finished")
        return self._block


def _batch_name(subject: Subject, local: str) -> ForeignName:
    name = parse_local_name(subject.tenant, subject.source, local)
    if name is None:
        raise Refused(Reason.MALFORMED, f"{local[:140]!r} is not device/signal")
    return name


_KEPT_HEADERS: Final = 16


def _headers(message: RawMessage) -> dict[str, str]:
    kept = list(message.headers.items())[:_KEPT_HEADERS]
    return {"subject": message.subject[:300]} | {k[:100]: v[:300] for k, v in kept}


def _concatenated(names: tuple[ForeignName, ...], parts: list[RawReadings]) -> RawReadings:
    def joined(field: str, dtype: type[np.generic]) -> Any:  # noqa: ANN401 - one array type per field
        arrays = [getattr(part, field) for part in parts]
        return np.concatenate(arrays) if arrays else np.empty(0, dtype)

    return RawReadings(
        names=names,
        name_ix=joined("name_ix", np.int64),
        observed_us=joined("observed_us", np.int64),
        zoneless=joined("zoneless", np.bool_),
        value=joined("value", np.float64),
        source_status=joined("source_status", np.uint32),
        sequence=joined("sequence", np.int64),
        arrived_us=joined("arrived_us", np.int64),
        raw_seq=joined("raw_seq", np.int64),
        raw_ix=joined("raw_ix", np.int64),
        replay_ix=joined("replay_ix", np.int64),
    )
