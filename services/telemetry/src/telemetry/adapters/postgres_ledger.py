"""The ingest ledger in PostgreSQL: cursor, counts and quarantine change together or not at all."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from telemetry.adapters.tables import COUNTS, CURSORS, MARKS, MOVEMENTS, QUARANTINE, SIGNALS
from telemetry.model.ingest import BatchOutcome, Counts, Cursor
from telemetry.model.pipeline import Movement
from telemetry.model.quarantine import QuarantineRow, QuarantineStatus
from telemetry.model.signal import Signal
from twinmesh_sdk.adapters.postgres import Database
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import to_us

ROWS_PER_INSERT: Final = 500
_ROLLUPS: Final = "rollups"
_HOPS: Final = ("door_us", "stream_us", "resolve_us", "store_us", "publish_us")


class PostgresLedger:
    """Implements `Ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._saved: dict[tuple[str, str], Signal] = {}

    async def cursor(self, stream: str, epoch: int) -> Cursor:
        """See `Ledger.cursor`. Begins with the largest `recorded_at` of any incarnation."""
        async with self._database.begin() as connection:
            found = await connection.execute(sa.select(CURSORS).where(CURSORS.c.stream == stream))
            rows = {row.epoch: row for row in found}
            recorded_us = max((row.recorded_us for row in rows.values()), default=0)
            if epoch not in rows:
                await connection.execute(
                    insert(CURSORS)
                    .values(stream=stream, epoch=epoch, last_seq=0, recorded_us=recorded_us)
                    .on_conflict_do_nothing()
                )
                return Cursor(epoch, 0, recorded_us)
            return Cursor(epoch, rows[epoch].last_seq, rows[epoch].recorded_us)

    async def commit(self, outcome: BatchOutcome) -> None:
        """See `Ledger.commit`."""
        async with self._database.begin() as connection:
            await self._move_cursor(connection, outcome)
            await _add_counts(connection, outcome.counts)
            await _set_aside(connection, outcome.quarantine)
            if outcome.replayed:
                await connection.execute(
                    sa.update(QUARANTINE)
                    .where(QUARANTINE.c.quarantine_id.in_(outcome.replayed))
                    .values(status=QuarantineStatus.REPLAYED.value)
                )
            new = [s for s in outcome.signals if self._saved.get((s.tenant, s.signal_id)) != s]
            await _save_signals(connection, new)
            await _save_movements(connection, outcome.movements)
        self._saved |= {(s.tenant, s.signal_id): s for s in new}

    async def _move_cursor(self, connection: AsyncConnection, outcome: BatchOutcome) -> None:
        before, after = outcome.before, outcome.after
        moved = await connection.execute(
            sa.update(CURSORS)
            .where(
                CURSORS.c.stream == outcome.stream,
                CURSORS.c.epoch == before.epoch,
                CURSORS.c.last_seq == before.last_seq,
            )
            .values(last_seq=after.last_seq, recorded_us=after.recorded_us)
        )
        if moved.rowcount != 1:
            raise ConflictError(f"the cursor of {outcome.stream} is not at {before.last_seq}")

    async def counts(self, tenant: str) -> Counts:
        """See `Ledger.counts`."""
        async with self._database.connect() as connection:
            row = (
                await connection.execute(sa.select(COUNTS).where(COUNTS.c.tenant == tenant))
            ).one_or_none()
        if row is None:
            return Counts()
        return Counts(row.received, row.stored, row.duplicate, row.quarantined)

    async def processed(self, stream: str) -> Cursor | None:
        """See `Ledger.processed`."""
        query = sa.select(CURSORS).where(CURSORS.c.stream == stream)
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        newest = max(rows, key=lambda row: int(row.epoch), default=None)
        if newest is None:
            return None
        return Cursor(newest.epoch, newest.last_seq, newest.recorded_us)

    async def rollup_mark(self) -> int:
        """See `Ledger.rollup_mark`."""
        async with self._database.connect() as connection:
            found = await connection.execute(
                sa.select(MARKS.c.value).where(MARKS.c.name == _ROLLUPS)
            )
            return int(found.scalar_one_or_none() or 0)

    async def set_rollup_mark(self, recorded_us: int) -> None:
        """See `Ledger.set_rollup_mark`."""
        statement = insert(MARKS).values(name=_ROLLUPS, value=recorded_us)
        async with self._database.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["name"], set_={"value": statement.excluded.value}
                )
            )

    async def seen_signals(self) -> list[Signal]:
        """See `Ledger.seen_signals`."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(sa.select(SIGNALS.c.definition))).scalars().all()
        return [_signal_of(row) for row in rows]

    async def movements(self) -> list[Movement]:
        """See `Ledger.movements`."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(sa.select(MOVEMENTS))).all()
        return [
            Movement(r.tenant, r.source, **{hop: getattr(r, hop) for hop in _HOPS}) for r in rows
        ]


async def _add_counts(connection: AsyncConnection, counts: dict[str, Counts]) -> None:
    for tenant, count in sorted(counts.items()):
        added = insert(COUNTS).values(tenant=tenant, **asdict(count))
        await connection.execute(
            added.on_conflict_do_update(
                index_elements=["tenant"],
                set_={name: COUNTS.c[name] + added.excluded[name] for name in asdict(count)},
            )
        )


async def _set_aside(connection: AsyncConnection, rows: Sequence[QuarantineRow]) -> None:
    statement = insert(QUARANTINE).on_conflict_do_nothing(index_elements=["quarantine_id"])
    for at in range(0, len(rows), ROWS_PER_INSERT):
        await connection.execute(
            statement, [quarantine_values(row) for row in rows[at : at + ROWS_PER_INSERT]]
        )


def quarantine_values(row: QuarantineRow) -> dict[str, Any]:
    """Return the columns of a row."""
    return {
        "quarantine_id": row.quarantine_id,
        "tenant": row.tenant,
        "source": row.source,
        "name": storable(row.name),
        "reason": row.reason.value,
        "detail": storable(row.detail),
        "payload": row.payload,
        "payload_format": row.payload_format,
        "headers": {storable(k): storable(v) for k, v in row.headers.items()},
        "arrived_us": None if row.arrived_at is None else to_us(row.arrived_at),
        "observed_us": row.observed_us,
        "readings": row.readings,
        "raw_seq": row.raw_seq,
        "raw_ix": row.raw_ix,
        "status": row.status.value,
    }


async def _save_signals(connection: AsyncConnection, signals: Sequence[Signal]) -> None:
    newest = {(s.tenant, s.signal_id): s for s in sorted(signals, key=lambda s: s.valid_from_us)}
    if not newest:
        return
    statement = insert(SIGNALS)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant", "signal_id"],
            set_={"definition": statement.excluded.definition},
        ),
        [
            {"tenant": tenant, "signal_id": signal_id, "definition": _definition(signal)}
            for (tenant, signal_id), signal in newest.items()
        ],
    )


async def _save_movements(connection: AsyncConnection, movements: Sequence[Movement]) -> None:
    if not movements:
        return
    statement = insert(MOVEMENTS)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant", "source"],
            set_={
                hop: sa.func.greatest(MOVEMENTS.c[hop], statement.excluded[hop]) for hop in _HOPS
            },
        ),
        [asdict(movement) for movement in movements],
    )


def _definition(signal: Signal) -> dict[str, Any]:
    values = asdict(signal)
    for name in ("range_min", "range_max"):
        if not math.isfinite(values[name]):
            values[name] = None
    return values


def _signal_of(values: dict[str, Any]) -> Signal:
    low, high = values["range_min"], values["range_max"]
    return Signal(
        **{
            **values,
            "tenant": Tenant(values["tenant"]),
            "asset_id": AssetId(values["asset_id"]),
            "signal_id": SignalId(values["signal_id"]),
            "range_min": -math.inf if low is None else low,
            "range_max": math.inf if high is None else high,
        }
    )


def storable(text: str) -> str:
    """Return a text that PostgreSQL can hold: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
