"""Reading a recording's table: hostile until proven to be a header and rows of numbers."""

import csv
import gzip
import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from twinmesh_local.plant import roles
from twinmesh_local.plant.model import Stamps, Values, usual_step_s
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

MAX_ROWS: Final = 2_000_000
MAX_COLUMNS: Final = 256
MAX_BYTES: Final = 512 * 1024 * 1024
"""Of a table, unpacked."""
MAX_FIELD: Final = 1_000
DELIMITERS: Final = (";", ",", "\t")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of numbers over time.

    Attributes:
        headers: Of the value columns, labels left out.
        stamps: UTC microseconds, never falling (rows are sorted; equal stamps keep their order).
        values: One row per stamp; NaN where the cell is empty.
        unreadable: Cells and rows that are neither a number nor empty; they are not sent.
        zoned: Whether the stamps in the file say their zone.
    """

    headers: tuple[str, ...]
    stamps: Stamps
    values: Values
    unreadable: int
    zoned: bool

    @property
    def cadence_s(self) -> float:
        """The usual time between rows, see `usual_step_s`."""
        return usual_step_s(self.stamps)


class _Bounded(io.RawIOBase):
    """A stream that ends with an error instead of filling the disk's worth of memory."""

    def __init__(self, inner: io.BufferedIOBase | gzip.GzipFile, name: str) -> None:
        self._inner = inner
        self._left = MAX_BYTES
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._inner.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise LimitExceededError(f"{self._name}: more than {MAX_BYTES} bytes")
        buffer[: len(data)] = data
        return len(data)


def _unpacked(file: io.BufferedReader, path: Path) -> io.BufferedReader | gzip.GzipFile:
    return gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a plain or gzipped text file.

    Raises:
        InvalidInputError: It is not text, or not gzip.
        LimitExceededError: It is larger than we read.
    """
    with path.open("rb") as packed, _unpacked(packed, path) as file:
        raw = io.BufferedReader(_Bounded(file, path.name), 1 << 16)
        try:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, csv.Error) as error:
            raise InvalidInputError(f"{path.name} cannot be read: {error}") from error


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def headers_of(path: Path) -> list[str]:
    """Return the header row of a table.

    Raises:
        InvalidInputError: There is none.
    """
    with _lines(path) as lines:
        first = next(lines, "")
        found = next(csv.reader([first], delimiter=_delimiter(first)), [])
    if not found or len(found) > MAX_COLUMNS:
        raise InvalidInputError(f"{path.name} has no header of 1 to {MAX_COLUMNS} columns")
    return [cell.strip() for cell in found]


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return a small table as text, for example of building data; at most 10,000 rows.

    Raises:
        InvalidInputError: It is no table.
        LimitExceededError: It is larger.
    """
    names = headers_of(path)
    with _lines(path) as lines:
        reader = csv.reader(lines, delimiter=_delimiter(next(lines, "")))
        rows: list[dict[str, str]] = []
        for row in reader:
            if len(rows) >= 10_000:
                raise LimitExceededError(f"{path.name}: more than 10000 rows")
            rows.append(dict(zip(names, (cell.strip() for cell in row), strict=False)))
    return rows


def stamp_column(headers: list[str]) -> int | None:
    """Return which column holds the times; None when none says so."""
    return next((i for i, header in enumerate(headers) if roles.is_stamp(header)), None)


def _stamp_us(text: str) -> tuple[int, bool]:
    """Return UTC microseconds and whether the text said its zone; epoch numbers do.

    Raises:
        ValueError: It is no time.
    """
    try:
        number = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        zoned = moment.tzinfo is not None
        moment = moment if zoned else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1e6), zoned
    if not 0.0 <= number < 4e12:
        raise ValueError(text)
    return round(number * (1e3 if number > 4e10 else 1e6)), True


def _cell(text: str) -> tuple[float, bool]:
    """Return a cell's number (NaN when empty or unreadable) and whether it could not be read."""
    if not text or text.isspace():
        return math.nan, False
    try:
        number = float(text) if len(text) < MAX_FIELD else math.inf
    except ValueError:
        return math.nan, True
    return (number, False) if math.isfinite(number) else (math.nan, True)


def read_table(path: Path) -> Table:
    """Read a table of numbers over time.

    Raises:
        InvalidInputError: No header, no column of times, no column of numbers, or no row.
        LimitExceededError: It is larger than we read.
    """
    names = headers_of(path)
    at = stamp_column(names)
    if at is None:
        raise InvalidInputError(f"{path.name} has no column of times, for example `datetime`")
    kept = [i for i, name in enumerate(names) if i != at and name and not roles.is_label(name)]
    stamps: list[int] = []
    rows: list[list[float]] = []
    unreadable = 0
    zoned = False
    with _lines(path) as lines:
        for row in csv.reader(lines, delimiter=_delimiter(next(lines, ""))):
            if len(rows) >= MAX_ROWS:
                raise LimitExceededError(f"{path.name}: more than {MAX_ROWS} rows")
            try:
                stamp, says_zone = _stamp_us(row[at].strip())
            except (ValueError, IndexError, OverflowError):
                unreadable += 1
                continue
            cells = [_cell(row[i]) if i < len(row) else (math.nan, False) for i in kept]
            zoned = zoned or says_zone
            unreadable += sum(bad for _, bad in cells)
            stamps.append(stamp)
            rows.append([number for number, _ in cells])
    if not rows:
        raise InvalidInputError(f"{path.name} has no rows")
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(kept))
    measured = ~np.all(np.isnan(values), axis=0)
    if not bool(np.any(measured)):
        raise InvalidInputError(f"{path.name} has no column of numbers")
    order = np.argsort(np.array(stamps, dtype=np.int64), kind="stable")
    return Table(
        headers=tuple(names[i] for i, good in zip(kept, measured, strict=True) if good),
        stamps=np.array(stamps, dtype=np.int64)[order],
        values=values[order][:, measured],
        unreadable=unreadable,
        zoned=zoned,
    )
