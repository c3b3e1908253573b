"""How versions did on live events, and what was ruled, in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, Table, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction, with_deadlines
from governance.adapters.tables import COMPARISONS, MEASUREMENTS, OUTBOX, RETRAININGS, RULINGS
from governance.model.contracts import Version
from governance.model.releases import ModelName
from governance.model.shadow import (
    Comparison,
    MeasuredWindow,
    Measurement,
    RetrainingRequest,
    Ruling,
)
from governance.ports.shadows import Measured
from governance.wire.shadow_events import drifted_envelope, ruled_envelope
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.ports.clock import Clock

MAX_READ: Final = 200_000
MAX_LISTED: Final = 1_000
CHUNK: Final = 1_000


class PostgresShadows:
    """See `ShadowStore`. Needs no writer's turn: a window is inserted once, and never changes."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def add(self, windows: Sequence[MeasuredWindow]) -> None:
        """See `ShadowStore.add`."""
        now = self._clock.wall_now()
        measured = [rows.measurement_row(window, now) for window in windows]
        compared = [row for window in windows for row in rows.comparison_rows(window, now)]
        async with self._begin() as connection:
            for table, values in ((MEASUREMENTS, measured), (COMPARISONS, compared)):
                for n in range(0, len(values), CHUNK):
                    statement = insert(table).values(values[n : n + CHUNK])
                    await connection.execute(statement.on_conflict_do_nothing())

    async def measured(self) -> list[tuple[Tenant, ModelName]]:
        """See `ShadowStore.measured`."""
        held = MEASUREMENTS.c
        query = select(held.tenant, held.model).distinct().order_by(held.tenant, held.model)
        async with self._begin() as connection:
            found = (await connection.execute(query.limit(MAX_LISTED))).all()
        return [(Tenant(tenant), ModelName(model)) for tenant, model in found]

    async def comparisons(self, of: Measured, challenger: Version) -> list[Comparison]:
        """See `ShadowStore.comparisons`."""
        held = COMPARISONS.c
        query = (
            select(COMPARISONS)
            .where(
                held.tenant == str(of.tenant),
                held.domain.in_(sorted(of.domains)),
                held.model == str(of.model),
                held.challenger == str(challenger),
                held.champion == str(of.version),
            )
            .order_by(held.from_at)
            .limit(MAX_READ)
        )
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.comparison_of(dict(row)) for row in found]

    async def measurements(self, of: Measured, *, since: datetime) -> list[Measurement]:
        """See `ShadowStore.measurements`."""
        held = MEASUREMENTS.c
        query = select(MEASUREMENTS).where(*_of(of), held.from_at >= since)
        return await self._measurements(query.order_by(held.from_at).limit(MAX_READ))

    async def last_measurements(
        self, of: Measured, *, before: datetime, windows: int
    ) -> list[Measurement]:
        """See `ShadowStore.last_measurements`."""
        held = MEASUREMENTS.c
        mine = (*_of(of), held.from_at < before)
        last = select(held.from_at).where(*mine).distinct().order_by(held.from_at.desc())
        query = select(MEASUREMENTS).where(*mine, held.from_at.in_(last.limit(windows)))
        return await self._measurements(query.order_by(held.from_at).limit(MAX_READ))

    async def _measurements(self, query: Select[Any]) -> list[Measurement]:
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.measurement_of(dict(row)) for row in found]

    async def forget(self, *, before: datetime, limit: int) -> int:
        """See `ShadowStore.forget`."""
        gone = 0
        async with self._begin() as connection:
            for table in (MEASUREMENTS, COMPARISONS):
                gone += await _forget(connection, table, before, limit)
        return gone

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield connection
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the store of measured windows did not answer") from error


def _of(of: Measured) -> list[ColumnElement[bool]]:
    held = MEASUREMENTS.c
    return [
        held.tenant == str(of.tenant),
        held.domain.in_(sorted(of.domains)),
        held.model == str(of.model),
        held.version == str(of.version),
    ]


async def _forget(connection: AsyncConnection, table: Table, before: datetime, limit: int) -> int:
    key = list(table.primary_key.columns)
    old = select(*key).where(table.c.recorded_at < before).limit(limit)
    return int((await connection.execute(delete(table).where(tuple_(*key).in_(old)))).rowcount)


class PostgresRulings(Transaction):
    """See `RulingSession`."""

    async def rulings(self, model: str | None = None) -> list[Ruling]:
        """See `RulingSession.rulings`."""
        query = select(RULINGS).order_by(RULINGS.c.recorded_at)
        if model is not None:
            query = query.where(RULINGS.c.model == model)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.ruling_of(dict(row)) for row in found]

    async def save_ruling(self, ruling: Ruling) -> None:
        """See `RulingSession.save_ruling`."""
        key = ("tenant", "model", "version", "kind", "against", "tenure")
        await self.upsert(RULINGS, rows.ruling_row(ruling), key)
        await self._tell(ruled_envelope(ruling))

    async def retrainings(self, model: str | None = None) -> list[RetrainingRequest]:
        """See `RulingSession.retrainings`."""
        held = RETRAININGS.c
        query = select(RETRAININGS).order_by(held.recorded_at.desc(), held.id).limit(MAX_LISTED)
        if model is not None:
            query = query.where(held.model == model)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.retraining_of(dict(row)) for row in found]

    async def save_retraining(self, request: RetrainingRequest) -> None:
        """See `RulingSession.save_retraining`."""
        query = (
            select(func.count()).select_from(RETRAININGS).where(RETRAININGS.c.id == str(request.id))
        )
        known = (await self.connection.execute(query)).scalar_one()
        await self.upsert(RETRAININGS, rows.retraining_row(request), ("id",))
        if not known:
            await self._tell(drifted_envelope(request))

    async def _tell(self, envelope: Envelope) -> None:
        statement = insert(OUTBOX).values(rows.outbox_row(envelope))
        await self.connection.execute(statement.on_conflict_do_nothing())
