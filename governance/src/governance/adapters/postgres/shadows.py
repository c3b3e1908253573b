"""How versions did on live events, and what was ruled, in PostgreSQL."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import Table, delete, func, select, tuple_
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
    LEAST_ERROR,
    ComparedWindow,
    MeasuredWindow,
    RetrainingRequest,
    Ruling,
    WindowFigures,
)
from governance.ports.shadows import Measured
from governance.wire.shadow_events import drifted_envelope, ruled_envelope
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.events import Envelope
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.ports.clock import Clock

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

    async def compared(
        self, of: Measured, challenger: Version, *, since: datetime, limit: int
    ) -> list[ComparedWindow]:
        """See `ShadowStore.compared`."""
        held = COMPARISONS.c
        both = held.champion_error + held.challenger_error
        gain = (held.champion_error - held.challenger_error) / func.nullif(both, 0.0)
        query = (
            select(
                held.from_at,
                func.max(held.to_at).label("to_at"),
                func.avg(func.coalesce(gain, 0.0)).label("gain"),
                *(func.sum(held[n]).label(n) for n in ("pairs", "judged", "disagreements")),
            )
            .where(
                held.tenant == str(of.tenant),
                held.domain.in_(sorted(of.domains)),
                held.model == str(of.model),
                held.challenger == str(challenger),
                held.champion == str(of.version),
                held.from_at >= since,
            )
            .group_by(held.from_at)
            .order_by(held.from_at)
            .limit(limit)
        )
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [rows.compared_of(dict(row)) for row in found]

    async def figures(
        self,
        of: Measured,
        *,
        since: datetime | None = None,
        before: datetime | None = None,
        first: bool = False,
        limit: int,
    ) -> list[WindowFigures]:
        """See `ShadowStore.figures`."""
        held = MEASUREMENTS.c
        error = func.ln(func.greatest(held.error, LEAST_ERROR))
        query = select(
            held.from_at,
            func.avg(held.residual).label("residual"),
            func.avg(error).label("log_error"),
        ).where(
            held.tenant == str(of.tenant),
            held.domain.in_(sorted(of.domains)),
            held.model == str(of.model),
            held.version == str(of.version),
        )
        if since is not None:
            query = query.where(held.from_at >= since)
        if before is not None:
            query = query.where(held.from_at < before)
        order = held.from_at if first else held.from_at.desc()
        query = query.group_by(held.from_at).order_by(order).limit(limit)
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        windows = [rows.figures_of(dict(row)) for row in found]
        return windows if first else windows[::-1]

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
