"""Bodies of `POST /v1/readings` to columns: as a whole, or refused with the lines at fault."""

import io
from collections.abc import Callable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from telemetry.model import quality
from telemetry.model.reading import NO_SEQUENCE, Codes, Floats, Indices, Ints, RawReadings
from telemetry.model.signal import ForeignName
from telemetry.wire.subjects import parse_local_name
from telemetry.wire.values import MAX_US, MIN_US, Refused, read_time, read_value
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import from_us, to_us

MAX_FAULTS: Final = 10
REQUIRED: Final = ("ts", "device", "signal", "value")
OPTIONAL: Final = ("quality", "seq")


class UploadedReading(BaseModel):
    """One reading of a JSON body."""

    model_config = ConfigDict(extra="forbid")

    device: str = Field(max_length=64, description="the device's name at its source")
    signal: str = Field(max_length=64, description="the signal's name at its device")
    ts: str | int | float = Field(description="RFC 3339, or Unix seconds or milliseconds")
    value: float | None = Field(description="in the unit that the signal's definition declares")
    quality: str | int | None = Field(default=None, description="OPC UA name or code; Good if none")
    seq: int | None = Field(
        default=None, ge=0, lt=2**63, description="the source's sequence number"
    )


class UploadedReadings(BaseModel):
    """A JSON body."""

    model_config = ConfigDict(extra="forbid")

    readings: list[UploadedReading] = Field(min_length=1, max_length=200_000)


READINGS_SCHEMA: Final = UploadedReadings.model_json_schema(
    ref_template="#/components/schemas/{model}"
)


def readings_from_json(
    body: bytes, *, tenant: str, source: str, zone: str, arrived_us: int
) -> RawReadings:
    """Read a JSON body.

    Raises:
        InvalidInputError: It is none, or a reading in it cannot be read; the first are named.
    """
    try:
        uploaded = UploadedReadings.model_validate_json(body).readings
    except ValidationError as error:
        told = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)[:MAX_FAULTS]
        ]
        raise InvalidInputError("; ".join(told)[:1000]) from error
    columns: dict[str, list[Any]] = {
        "ts": [one.ts for one in uploaded],
        "device": [one.device for one in uploaded],
        "signal": [one.signal for one in uploaded],
        "value": [one.value for one in uploaded],
        "quality": [one.quality for one in uploaded],
        "seq": [one.seq for one in uploaded],
    }
    faults = _Faults("readings.{}", first=0)
    names, name_ix = _names(columns["device"], columns["signal"], tenant, source, faults)
    observed_us = _each(columns["ts"], lambda ts: _moment(ts, _zone(zone)), np.int64, faults)
    value = _each(columns["value"], read_value, np.float64, faults)
    status = _each(columns["quality"], quality.status_of, np.uint32, faults)
    faults.check()
    sequence = np.array([NO_SEQUENCE if s is None else s for s in columns["seq"]], np.int64)
    return _raw(
        names,
        name_ix=name_ix,
        observed_us=observed_us,
        value=value,
        status=status,
        sequence=sequence,
        arrived_us=arrived_us,
    )


def readings_from_csv(
    body: bytes, *, tenant: str, source: str, zone: str, arrived_us: int
) -> RawReadings:
    """Read a CSV body with a header line: `ts,device,signal,value` and, if need be, `quality,seq`.

    Raises:
        InvalidInputError: It is none, or a line in it cannot be read; the first are named.
    """
    table = _table(body)
    faults = _Faults("line {}", first=2)
    names, name_ix = _names(table.column("device"), table.column("signal"), tenant, source, faults)
    observed_us = _csv_times(table.column("ts"), zone, faults)
    value = _csv_values(table.column("value"), faults)
    status = _csv_quality(table, faults)
    sequence = _csv_sequence(table, faults)
    faults.check()
    return _raw(
        names,
        name_ix=name_ix,
        observed_us=observed_us,
        value=value,
        status=status,
        sequence=sequence,
        arrived_us=arrived_us,
    )


class _Faults:
    """Collects what cannot be read; the first few are told."""

    def __init__(self, place: str, *, first: int) -> None:
        self._place = place
        self._first = first
        self._told: list[str] = []
        self._count = 0

    def add(self, row: int, fault: object) -> None:
        """Note a fault in a row."""
        self._count += 1
        if len(self._told) < MAX_FAULTS:
            self._told.append(f"{self._place.format(row + self._first)}: {str(fault)[:120]}")

    def check(self) -> None:
        """Pass when there was none."""
        if self._count:
            more = self._count - len(self._told)
            rest = f"; and {more} more" if more else ""
            raise InvalidInputError(
                "; ".join(self._told) + rest, hint="nothing of the request was taken in"
            )


def _raw(
    names: tuple[ForeignName, ...],
    *,
    name_ix: Indices,
    observed_us: Ints,
    value: Floats,
    status: Codes,
    sequence: Ints,
    arrived_us: int,
) -> RawReadings:
    count = len(name_ix)
    return RawReadings(
        names=names,
        name_ix=name_ix,
        observed_us=observed_us,
        zoneless=np.zeros(count, bool),
        value=value,
        source_status=status,
        sequence=sequence,
        arrived_us=np.full(count, arrived_us, np.int64),
        raw_seq=np.zeros(count, np.int64),
        raw_ix=np.arange(count, dtype=np.int64),
        replay_ix=np.full(count, -1, np.int64),
    )


def _each(
    cells: Sequence[Any], read: Callable[[Any], float], dtype: type[np.generic], faults: _Faults
) -> Any:  # noqa: ANN401 - an array of the dtype asked for
    """Read cell by cell; a fault leaves a zero behind, for the whole is refused then."""
    column: list[float] = []
    for row, cell in enumerate(cells):
        try:
            column.append(read(cell))
        except (InvalidInputError, Refused) as fault:
            faults.add(row, fault)
            column.append(0)
    return np.array(column, dtype)


def _names(
    devices: Any,  # noqa: ANN401 - a list or an arrow column
    signals: Any,  # noqa: ANN401 - the same
    tenant: str,
    source: str,
    faults: _Faults,
) -> tuple[tuple[ForeignName, ...], Indices]:
    """Return the dictionary of names, in order of appearance, and the index of each row."""
    texts = pa.array(devices) if isinstance(devices, list) else devices.combine_chunks()
    others = pa.array(signals) if isinstance(signals, list) else signals.combine_chunks()
    encoded = pc.binary_join_element_wise(texts, others, "/").dictionary_encode()
    locals_ = encoded.dictionary.to_pylist()
    name_ix = encoded.indices.to_numpy().astype(np.int64)
    names: list[ForeignName] = []
    for number, local in enumerate(locals_):
        name = parse_local_name(tenant, source, local)
        if name is None:
            row = int(np.argmax(name_ix == number))
            faults.add(row, f"device/signal {local[:140]!r} is not of [A-Za-z0-9_-], 1 to 64 each")
            name = ForeignName(tenant, source, "", "")
        names.append(name)
    return tuple(names), name_ix


def _table(body: bytes) -> pa.Table:
    columns = (*REQUIRED, *OPTIONAL)
    try:
        table = pcsv.read_csv(
            io.BytesIO(body),
            read_options=pcsv.ReadOptions(use_threads=False, block_size=max(len(body), 1024)),
            convert_options=pcsv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is no CSV: {str(error)[:300]}") from error
    have = table.column_names
    missing = [name for name in REQUIRED if name not in have]
    strange = [name for name in have if name not in columns]
    if missing or strange or len(set(have)) != len(have):
        raise InvalidInputError(
            f"the header line needs {','.join(REQUIRED)} and may have {','.join(OPTIONAL)}; "
            f"missing: {missing}, not known: {[s[:40] for s in strange[:10]]}"
        )
    if table.num_rows == 0:
        raise InvalidInputError("the body has no readings")
    return table


def _csv_values(cells: pa.ChunkedArray, faults: _Faults) -> Floats:
    """Read numbers; an empty cell is a missing value, which is judged with the others."""
    cells = pc.utf8_trim_whitespace(cells)
    filled = pc.if_else(pc.equal(cells, ""), "nan", cells)
    try:
        return np.asarray(pc.cast(filled, pa.float64()).to_numpy(), np.float64)
    except pa.ArrowInvalid:
        read: Floats = _each(filled.to_pylist(), _number, np.float64, faults)
        return read


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidInputError(f"value {text[:40]!r} is not a number") from None


def _csv_times(cells: pa.ChunkedArray, zone: str, faults: _Faults) -> Ints:
    """Read stamps: all at once where they are of one form, one by one otherwise."""
    cells = pc.utf8_trim_whitespace(cells)
    found = _zone(zone)
    for form in (_zoned, _local) if found else (_zoned,):
        try:
            us = form(cells, zone)
        except pa.ArrowInvalid:
            continue
        if us.min() >= MIN_US and us.max() < MAX_US:
            return us
    read: Ints = _each(cells.to_pylist(), lambda c: _moment(_unix(c), found), np.int64, faults)
    return read


def _zoned(cells: pa.ChunkedArray, zone: str) -> Ints:
    """Read stamps that state a zone."""
    del zone
    moments = pc.cast(cells, pa.timestamp("us", tz="UTC"))
    return np.asarray(pc.cast(moments, pa.int64()).to_numpy(), np.int64)


def _local(cells: pa.ChunkedArray, zone: str) -> Ints:
    """Read stamps without a zone; an hour that the clocks repeat or skip is left to `_moment`."""
    local = pc.cast(cells, pa.timestamp("us"))
    moments = pc.assume_timezone(local, zone, ambiguous="raise", nonexistent="raise")
    return np.asarray(pc.cast(moments, pa.int64()).to_numpy(), np.int64)


def _unix(text: str) -> str | float:
    """Return a cell as a number where it is one: Unix time."""
    try:
        return float(text)
    except ValueError:
        return text


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInputError(f"zone {name[:60]!r} is not an IANA time zone") from error


def _moment(stamp: object, zone: ZoneInfo | None) -> int:
    """Return UTC microseconds; of an hour that the clocks repeat, the first one is meant."""
    us, zoneless = read_time(stamp)
    if not zoneless:
        return us
    if zone is None:
        raise InvalidInputError("the stamp has no zone; declare one by ?zone=")
    return to_us(from_us(us).replace(tzinfo=zone))


def _csv_quality(table: pa.Table, faults: _Faults) -> Codes:
    if "quality" not in table.column_names:
        return np.zeros(table.num_rows, np.uint32)
    cells = pc.utf8_trim_whitespace(table.column("quality")).combine_chunks()
    encoded = cells.dictionary_encode()
    index = encoded.indices.to_numpy().astype(np.int64)
    codes: list[int] = []
    for number, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            codes.append(quality.status_of(_code(text)))
        except InvalidInputError as fault:
            faults.add(int(np.argmax(index == number)), fault)
            codes.append(0)
    status: Codes = np.array(codes, np.uint32)[index]
    return status


def _code(text: str) -> str | int | None:
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else text


def _csv_sequence(table: pa.Table, faults: _Faults) -> Ints:
    if "seq" not in table.column_names:
        return np.full(table.num_rows, NO_SEQUENCE, np.int64)
    cells = pc.utf8_trim_whitespace(table.column("seq"))
    filled = pc.if_else(pc.equal(cells, ""), str(NO_SEQUENCE), cells)
    try:
        sequence = np.asarray(pc.cast(filled, pa.int64()).to_numpy(), np.int64)
    except pa.ArrowInvalid:
        sequence = _each(filled.to_pylist(), _whole, np.int64, faults)
    for row in np.flatnonzero(sequence < NO_SEQUENCE)[: MAX_FAULTS + 1]:
        faults.add(int(row), "seq is below zero")
    return sequence


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    if text == str(NO_SEQUENCE):
        return NO_SEQUENCE
    raise InvalidInputError(f"seq {text[:40]!r} is not a whole number")
