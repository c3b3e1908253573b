"""Receipts and derivations in PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, delete, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters import rows
from governance.adapters.postgres.transaction import with_deadlines
from governance.adapters.tables import DERIVED, RECEIPT_REPORTS, RECEIPTS
from governance.model.lineage import MAX_COUNT, Derived, Receipt, ReportId
from twinmesh_sdk.core.consumption import OutputState
from twinmesh_sdk.core.errors import UnavailableError
from twinmesh_sdk.core.ids import Tenant

CHUNK: Final = 500
"""Rows per statement: PostgreSQL takes 32,767 parameters."""

_KEY: Final = tuple(column.name for column in RECEIPTS.primary_key.columns)
_ENDED: Final = (str(OutputState.ENDED), str(OutputState.WITHDRAWN))


class PostgresLineage:
    """See `LineageStore`. Needs no writer's turn: every write says how it merges."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add_receipts(
        self, tenant: Tenant, report: ReportId, receipts: Sequence[Receipt]
    ) -> bool:
        """See `LineageStore.add_receipts`."""
        mark = insert(RECEIPT_REPORTS).values(
            reporter=report.reporter,
            instance=report.instance,
            sequence=report.sequence,
            taken_at=func.now(),
        )
        # In the order of the key, so that two reports never wait for each other in a circle.
        values = sorted(
            (rows.receipt_row(tenant, receipt) for receipt in receipts),
            key=lambda row: tuple(row[name] for name in _KEY),
        )
        async with self._begin() as connection:
            if (await connection.execute(mark.on_conflict_do_nothing())).rowcount == 0:
                return False
            for n in range(0, len(values), CHUNK):
                await connection.execute(_adding(values[n : n + CHUNK]))
        return True

    async def receipts(
        self,
        tenant: Tenant,
        model: str,
        version: str,
        *,
        output_id: str = "",
        after: tuple[datetime, str] | None = None,
        limit: int,
    ) -> list[Receipt]:
        """See `LineageStore.receipts`."""
        place = tuple_(RECEIPTS.c.last_at, _place())
        query = select(RECEIPTS).where(
            RECEIPTS.c.tenant == str(tenant),
            RECEIPTS.c.model == model,
            RECEIPTS.c.model_version == version,
        )
        if output_id:
            query = query.where(RECEIPTS.c.output_id == output_id)
        if after is not None:
            query = query.where(place < after)
        query = query.order_by(RECEIPTS.c.last_at.desc(), _place().desc()).limit(limit)
        return [rows.receipt_of(row) for row in await self._read(query)]

    async def put_derived(self, derived: Sequence[Derived]) -> None:
        """See `LineageStore.put_derived`."""
        newest: dict[tuple[str, str, str], Derived] = {}
        for one in derived:
            key = (str(one.tenant), one.output.type, one.output.id)
            held = newest.get(key)
            if held is None or one.replaces(held):
                newest[key] = one
        values = [
            {**rows.derived_row(newest[key]), "announced_at": func.now()} for key in sorted(newest)
        ]
        async with self._begin() as connection:
            for n in range(0, len(values), CHUNK):
                fresh = insert(DERIVED).values(values[n : n + CHUNK])
                changed = {c.name: fresh.excluded[c.name] for c in DERIVED.c if not c.primary_key}
                await connection.execute(
                    fresh.on_conflict_do_update(
                        index_elements=list(DERIVED.primary_key.columns),
                        set_=changed,
                        where=and_(
                            fresh.excluded.service == DERIVED.c.service,
                            or_(
                                fresh.excluded.output_version >= DERIVED.c.output_version,
                                DERIVED.c.state == str(OutputState.STANDING),
                            ),
                        ),
                    )
                )

    async def derived(
        self,
        tenant: Tenant,
        model: str,
        version: str,
        states: Collection[OutputState],
        *,
        limit: int,
    ) -> list[Derived]:
        """See `LineageStore.derived`."""
        query = (
            select(DERIVED)
            .where(
                DERIVED.c.tenant == str(tenant),
                DERIVED.c.model == model,
                DERIVED.c.model_version == version,
                DERIVED.c.state.in_([str(state) for state in states]),
            )
            .order_by(
                case((DERIVED.c.state == str(OutputState.OPEN), 0), else_=1),
                DERIVED.c.at.desc(),
                DERIVED.c.output_id,
            )
            .limit(limit)
        )
        return [rows.derived_of(row) for row in await self._read(query)]

    async def derived_about(
        self, tenant: Tenant, subjects: Collection[str], *, per_subject: int
    ) -> dict[str, list[Derived]]:
        """See `LineageStore.derived_about`."""
        place = func.row_number().over(
            partition_by=DERIVED.c.subject, order_by=(DERIVED.c.at.desc(), DERIVED.c.output_id)
        )
        ranked = (
            select(DERIVED, place.label("place"))
            .where(DERIVED.c.tenant == str(tenant), DERIVED.c.subject.in_(list(subjects)))
            .subquery()
        )
        query = (
            select(ranked)
            .where(ranked.c.place <= per_subject)
            .order_by(ranked.c.subject, ranked.c.place)
        )
        found: dict[str, list[Derived]] = {}
        for row in await self._read(query):
            found.setdefault(row["subject"], []).append(rows.derived_of(row))
        return found

    async def tenants_of(self, model: str, version: str) -> set[Tenant]:
        """See `LineageStore.tenants_of`."""
        both = [
            select(table.c.tenant).where(table.c.model == model, table.c.model_version == version)
            for table in (DERIVED, RECEIPTS)
        ]
        return {Tenant(row["tenant"]) for row in await self._read(both[0].union(both[1]))}

    async def forget(self, *, before: datetime, limit: int) -> int:
        """See `LineageStore.forget`."""
        old = (
            (RECEIPTS, RECEIPTS.c.last_at < before),
            (RECEIPT_REPORTS, RECEIPT_REPORTS.c.taken_at < before),
            (DERIVED, and_(DERIVED.c.announced_at < before, DERIVED.c.state.in_(_ENDED))),
        )
        gone = 0
        async with self._begin() as connection:
            for table, condition in old:
                key = list(table.primary_key.columns)
                chosen = select(*key).where(condition).limit(limit)
                done = await connection.execute(delete(table).where(tuple_(*key).in_(chosen)))
                gone += done.rowcount
        return gone

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield connection
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the store of lineage did not answer") from error

    async def _read(self, query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a select
        async with self._begin() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings().all()]


def _place() -> Any:  # noqa: ANN401 - an expression
    """Return what orders receipts of one time: their key, as far as it is left open."""
    names = ("output_type", "output_id", "output_version", "client", "door")
    return func.concat_ws("\x1f", *(RECEIPTS.c[name] for name in names))


def _adding(values: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - a statement of the dialect
    fresh = insert(RECEIPTS).values(values)
    newer = fresh.excluded.last_at >= RECEIPTS.c.last_at
    return fresh.on_conflict_do_update(
        index_elements=list(_KEY),
        set_={
            "operation": case((newer, fresh.excluded.operation), else_=RECEIPTS.c.operation),
            "first_at": func.least(RECEIPTS.c.first_at, fresh.excluded.first_at),
            "last_at": func.greatest(RECEIPTS.c.last_at, fresh.excluded.last_at),
            "count": func.least(RECEIPTS.c["count"] + fresh.excluded["count"], MAX_COUNT),
        },
    )
