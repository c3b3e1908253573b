"""A plant as CSV tables: read, checked row by row, and applied to a ledger."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from asset_registry.decide.commands import NewAlias, Registration, define, register, resolve
from asset_registry.decide.ledger import Ledger
from asset_registry.model import (
    Address,
    AliasFact,
    AliasKey,
    ConfigurationFact,
    Lifecycle,
    Recorded,
    RelationFact,
    RelationKind,
    SignalFact,
    SignalKind,
    Statement,
)
from asset_registry.model.facts import canonical_json
from twinmesh_sdk.core.errors import InvalidInputError, TwinError
from twinmesh_sdk.core.ids import AssetId, ConfigurationId, SignalId, SubjectToken
from twinmesh_sdk.core.times import parse_time, to_us
from twinmesh_sdk.core.units import si_unit_of

PLANT: Final = "plant"
"""The naming system of a CSV file's keys."""

TABLES: Final = ("assets", "aliases", "relations", "configurations", "signals")
MAX_BYTES: Final = 4_000_000
MAX_ROWS: Final = 20_000
MAX_CELL_CHARS: Final = 16_384
MAX_PROBLEMS: Final = 100

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "assets": ("key", "name", "class"),
    "aliases": ("asset", "system", "value"),
    "relations": ("from", "kind", "to"),
    "configurations": ("asset", "label", "valid_from"),
    "signals": ("asset", "name", "source_unit", "cadence_s", "source", "device", "source_signal"),
}
_OPTIONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "assets": ("lifecycle", "valid_from"),
    "aliases": ("authority", "confidence", "valid_from", "valid_to"),
    "relations": ("valid_from", "valid_to"),
    "configurations": ("attributes", "valid_to"),
    "signals": (
        "unit",
        "range_min",
        "range_max",
        "time_zone",
        "kind",
        "stuck_after",
        "valid_from",
        "valid_to",
    ),
}
COLUMNS: Final = {table: (*_REQUIRED[table], *_OPTIONAL[table]) for table in TABLES}
"""Every column of every table."""

Cells: TypeAlias = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Minted:
    """Ids for a row, in case it makes something new."""

    asset_id: AssetId
    configuration_id: ConfigurationId
    signal_id: SignalId


@dataclass(frozen=True, slots=True)
class Row:
    """One checked row.

    Attributes:
        line: Of the CSV text; the header is line 1.
        keys: Plant keys that it refers to.
        name: The foreign name that it assigns, if any.
        address: The source's name that it defines, if any.
        apply: States the row in a ledger; True when something changed.
    """

    table: str
    line: int
    keys: tuple[AliasKey, ...]
    apply: Callable[[Ledger], bool]
    name: AliasKey | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Plant:
    """Rows in the order in which they can be applied, and what is wrong with the others."""

    rows: tuple[Row, ...]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """What an import does, or would do.

    Attributes:
        changed: Rows per table that change something.
        unchanged: Rows per table that repeat what is known.
        pending: The rows that change something.
    """

    changed: dict[str, int] = field(default_factory=dict)
    unchanged: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    pending: list[Row] = field(default_factory=list)


def read_plant(tables: Mapping[str, str], *, now_us: int, mint: Callable[[], Minted]) -> Plant:
    """Read and check CSV tables; nothing is looked up yet.

    Args:
        tables: CSV text with a header line, by table name.
        now_us: Plant time from which a row without `valid_from` holds.
        mint: Returns fresh ids.

    Returns:
        Rows, and one message per bad row (`signals line 7: ...`), at most `MAX_PROBLEMS`.

    Raises:
        InvalidInputError: A table is unknown, lacks a column or is no CSV.
        LimitExceededError: The tables are too large.
    """
    _check_size(tables)
    rows: list[Row] = []
    problems: list[str] = []
    for table in TABLES:
        for line, cells in _cells(table, tables.get(table, "")):
            try:
                if None in cells.values() or None in cells:
                    raise InvalidInputError("the number of cells differs from the header's")
                rows.append(_READERS[table](line, cells, now_us, mint()))
            except TwinError as error:
                problems.append(_problem(table, line, error))
            if len(rows) + len(problems) > MAX_ROWS:
                raise InvalidInputError(f"a plant has at most {MAX_ROWS} rows; import it in parts")
    return Plant(tuple(rows), tuple(problems[:MAX_PROBLEMS]))


def plan_rows(ledger: Ledger, rows: Sequence[Row]) -> Plan:
    """State every row, and tell which change something and which cannot be stated."""
    plan = Plan()
    for row in rows:
        try:
            changed = row.apply(ledger)
        except TwinError as error:
            if len(plan.problems) < MAX_PROBLEMS:
                plan.problems.append(_problem(row.table, row.line, error))
            continue
        _count(plan, row, changed=changed)
    return plan


def apply_rows(ledger: Ledger, rows: Sequence[Row]) -> Plan:
    """State every row; the first that cannot be stated stops the transaction.

    Raises:
        TwinError: As the row's statement raised it, with table and line in front.
    """
    plan = Plan()
    for row in rows:
        try:
            changed = row.apply(ledger)
        except TwinError as error:
            raise type(error)(_problem(row.table, row.line, error), hint=error.hint) from error
        _count(plan, row, changed=changed)
    return plan


def _count(plan: Plan, row: Row, *, changed: bool) -> None:
    counts = plan.changed if changed else plan.unchanged
    counts[row.table] = counts.get(row.table, 0) + 1
    if changed:
        plan.pending.append(row)


def _problem(table: str, line: int, error: TwinError) -> str:
    hint = f" ({error.hint})" if error.hint else ""
    return f"{table} line {line}: {error}{hint}"


def _check_size(tables: Mapping[str, str]) -> None:
    if unknown := sorted(set(tables) - set(TABLES)):
        raise InvalidInputError(
            f"unknown table {unknown[0][:40]!r}", hint="tables are " + ", ".join(TABLES)
        )
    if sum(len(text.encode()) for text in tables.values()) > MAX_BYTES:
        raise InvalidInputError(f"a plant's tables take at most {MAX_BYTES} bytes in all")
    if not any(text.strip() for text in tables.values()):
        raise InvalidInputError("no table has any row", hint="tables are " + ", ".join(TABLES))


def _cells(table: str, text: str) -> Iterator[tuple[int, Cells]]:
    """Yield line number and cells of each row that is not blank."""
    if not text.strip():
        return
    if "\0" in text:
        raise InvalidInputError(f"{table}: a NUL character is no CSV")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    known = COLUMNS[table]
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        if missing := sorted(set(_REQUIRED[table]) - set(header)):
            raise InvalidInputError(f"{table} lacks the column {missing[0]}")
        if strange := sorted(set(header) - set(known)):
            raise InvalidInputError(
                f"{table} has an unknown column {strange[0][:40]!r}",
                hint="columns are " + ", ".join(known),
            )
        if len(set(header)) != len(header):
            raise InvalidInputError(f"{table} names a column twice")
        for cells in reader:
            if any((cell or "").strip() for cell in cells.values() if isinstance(cell, str)):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InvalidInputError(f"{table} line {reader.line_num}: {error}") from error


def _cell(cells: Cells, column: str) -> str:
    """Return a cell without blanks around it; empty when the column is not there."""
    text = cells.get(column, "").strip()
    if len(text) > MAX_CELL_CHARS:
        raise InvalidInputError(f"{column} takes at most {MAX_CELL_CHARS} characters")
    return text


def _need(cells: Cells, column: str) -> str:
    text = _cell(cells, column)
    if not text:
        raise InvalidInputError(f"{column} is empty")
    return text


def _number(cells: Cells, column: str) -> float | None:
    text = _cell(cells, column)
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidInputError(f"{column} {text[:40]!r} is not a number") from error


def _time(cells: Cells, column: str) -> int | None:
    text = _cell(cells, column)
    return to_us(parse_time(text)) if text else None


def _from(cells: Cells, now_us: int) -> int:
    start = _time(cells, "valid_from")
    return now_us if start is None else start


def _key(cells: Cells, column: str) -> AliasKey:
    return AliasKey(PLANT, _need(cells, column))


def _asset_row(line: int, cells: Cells, now_us: int, minted: Minted) -> Row:
    key = _key(cells, "key")
    lifecycle = _cell(cells, "lifecycle").upper()
    if lifecycle and lifecycle not in Lifecycle.__members__:
        raise InvalidInputError(
            f"lifecycle {lifecycle[:40]!r} is unknown", hint="one of " + ", ".join(Lifecycle)
        )
    command = Registration(
        name=_need(cells, "name"),
        asset_class=_need(cells, "class"),
        lifecycle=Lifecycle(lifecycle) if lifecycle else None,
        valid_from_us=_from(cells, now_us),
        aliases=(NewAlias(key, authority="plant import"),),
    )

    def apply(ledger: Ledger) -> bool:
        return isinstance(register(ledger, command, minted=minted.asset_id), Recorded)

    return Row("assets", line, (key,), apply)


def _alias_row(line: int, cells: Cells, now_us: int, minted: Minted) -> Row:
    del minted
    owner, name = _key(cells, "asset"), AliasKey(_need(cells, "system"), _need(cells, "value"))
    confidence = _number(cells, "confidence")
    authority = _cell(cells, "authority")
    start, end = _from(cells, now_us), _time(cells, "valid_to")

    def apply(ledger: Ledger) -> bool:
        asset = resolve(ledger, owner, start)
        fact = AliasFact(name, asset, authority, 1.0 if confidence is None else confidence)
        return isinstance(ledger.state(Statement(fact, start, end)), Recorded)

    return Row("aliases", line, (owner,), apply, name=name)


def _relation_row(line: int, cells: Cells, now_us: int, minted: Minted) -> Row:
    del minted
    one, other = _key(cells, "from"), _key(cells, "to")
    kind = _need(cells, "kind").upper()
    if kind not in RelationKind.__members__:
        raise InvalidInputError(
            f"kind {kind[:40]!r} is unknown", hint="one of " + ", ".join(RelationKind)
        )
    start, end = _from(cells, now_us), _time(cells, "valid_to")

    def apply(ledger: Ledger) -> bool:
        fact = RelationFact(
            resolve(ledger, one, start), resolve(ledger, other, start), RelationKind(kind)
        )
        return isinstance(ledger.state(Statement(fact, start, end)), Recorded)

    return Row("relations", line, (one, other), apply)


def _configuration_row(line: int, cells: Cells, now_us: int, minted: Minted) -> Row:
    owner, label = _key(cells, "asset"), _need(cells, "label")
    attributes = canonical_json(_cell(cells, "attributes"))
    _need(cells, "valid_from")
    start, end = _from(cells, now_us), _time(cells, "valid_to")

    def apply(ledger: Ledger) -> bool:
        asset = resolve(ledger, owner, start)
        fact = ConfigurationFact(minted.configuration_id, asset, label, attributes)
        return isinstance(ledger.state(Statement(fact, start, end)), Recorded)

    return Row("configurations", line, (owner,), apply)


def _signal_row(line: int, cells: Cells, now_us: int, minted: Minted) -> Row:
    owner, source_unit = _key(cells, "asset"), _need(cells, "source_unit")
    address = Address(
        SubjectToken(_need(cells, "source")),
        SubjectToken(_need(cells, "device")),
        SubjectToken(_need(cells, "source_signal")),
    )
    kind = _cell(cells, "kind").lower() or SignalKind.GAUGE.value
    if kind not in set(SignalKind):
        raise InvalidInputError(
            f"kind {kind[:40]!r} is unknown", hint="one of " + ", ".join(SignalKind)
        )
    cadence, stuck = _number(cells, "cadence_s"), _number(cells, "stuck_after") or 0.0
    if cadence is None or not stuck.is_integer():
        raise InvalidInputError("cadence_s needs a number, and stuck_after a whole one")
    start, end = _from(cells, now_us), _time(cells, "valid_to")

    def fact(asset: AssetId) -> SignalFact:
        return SignalFact(
            signal_id=minted.signal_id,
            asset_id=asset,
            name=_need(cells, "name"),
            source_unit=source_unit,
            unit=_cell(cells, "unit") or si_unit_of(source_unit),
            cadence_s=cadence,
            address=address,
            range_min=_number(cells, "range_min"),
            range_max=_number(cells, "range_max"),
            time_zone=_cell(cells, "time_zone"),
            kind=SignalKind(kind),
            stuck_after=int(stuck),
        )

    fact(minted.asset_id)

    def apply(ledger: Ledger) -> bool:
        statement = Statement(fact(resolve(ledger, owner, start)), start, end)
        return isinstance(define(ledger, statement, given=None), Recorded)

    return Row("signals", line, (owner,), apply, address=address)


_READERS: Final[Mapping[str, Callable[[int, Cells, int, Minted], Row]]] = {
    "assets": _asset_row,
    "aliases": _alias_row,
    "relations": _relation_row,
    "configurations": _configuration_row,
    "signals": _signal_row,
}
