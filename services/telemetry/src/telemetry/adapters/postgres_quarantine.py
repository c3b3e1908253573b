"""Quarantined readings in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from telemetry.adapters.tables import QUARANTINE
from telemetry.model.quarantine import UNRESOLVED, QuarantineRow, QuarantineStatus, Reason
from telemetry.model.signal import ForeignName
from telemetry.ports import Page
from twinmesh_sdk.adapters.postgres import Database
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.ports.clock import Clock

_WAITING: Final = QuarantineStatus.QUARANTINED.value
_REPLAYING: Final = QuarantineStatus.REPLAYING.value
_HERE: Final = (_WAITING, _REPLAYING)


class PostgresQuarantineStore:
    """Implements `QuarantineStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def page(self, tenant: str, *, reason: str, after: str, limit: int) -> Page:
        """See `QuarantineStore.page`."""
        mine = sa.and_(QUARANTINE.c.tenant == tenant, QUARANTINE.c.status.in_(_HERE))
        if reason:
            mine = sa.and_(mine, QUARANTINE.c.reason == reason)
        if after and not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise InvalidInputError("the page token is not one of this list")
        since = int(after) if after else -1
        query = (
            sa.select(QUARANTINE)
            .where(mine, QUARANTINE.c.ordinal > since)
            .order_by(QUARANTINE.c.ordinal)
            .limit(limit + 1)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
            total = await connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(QUARANTINE.c.readings), 0)).where(mine)
            )
            count = int(total.scalar_one())
        page = rows[:limit]
        token = str(page[-1].ordinal) if len(rows) > limit else ""
        return Page(tuple(_row_of(row) for row in page), token, count)

    async def waiting(self, tenant: str, ids: Sequence[str]) -> list[QuarantineRow]:
        """See `QuarantineStore.waiting`."""
        if not ids:
            return []
        query = sa.select(QUARANTINE).where(
            QUARANTINE.c.tenant == tenant,
            QUARANTINE.c.quarantine_id.in_(list(ids)),
            QUARANTINE.c.status.in_(_HERE),
        )
        async with self._database.connect() as connection:
            return [_row_of(row) for row in await connection.execute(query)]

    async def mark_replaying(
        self, tenant: str, *, ids: Sequence[str], reason: str, limit: int
    ) -> list[QuarantineRow]:
        """See `QuarantineStore.mark_replaying`."""
        which = [QUARANTINE.c.tenant == tenant]
        if ids:
            which.append(QUARANTINE.c.quarantine_id.in_(list(ids)))
        if reason:
            which.append(QUARANTINE.c.reason == reason)
        return await self._mark(sa.and_(*which), limit)

    async def mark_name(self, name: ForeignName, limit: int) -> list[QuarantineRow]:
        """See `QuarantineStore.mark_name`."""
        return await self._mark(
            sa.and_(
                QUARANTINE.c.tenant == name.tenant,
                QUARANTINE.c.source == name.source,
                QUARANTINE.c.name == name.local,
                QUARANTINE.c.reason.in_([r.value for r in UNRESOLVED]),
            ),
            limit,
        )

    async def _mark(self, which: sa.ColumnElement[bool], limit: int) -> list[QuarantineRow]:
        chosen = (
            sa.select(QUARANTINE.c.ordinal)
            .where(which, QUARANTINE.c.status == _WAITING)
            .order_by(QUARANTINE.c.ordinal)
            .limit(limit)
        )
        statement = (
            sa.update(QUARANTINE)
            .where(QUARANTINE.c.ordinal.in_(chosen))
            .values(status=_REPLAYING, marked_us=to_us(self._clock.wall_now()))
            .returning(QUARANTINE)
        )
        async with self._database.begin() as connection:
            rows = (await connection.execute(statement)).all()
        return [_row_of(row) for row in sorted(rows, key=lambda r: int(r.ordinal))]

    async def stranded(self, older_than: datetime, limit: int) -> list[QuarantineRow]:
        """See `QuarantineStore.stranded`. They are marked again, so each is returned rarely."""
        chosen = (
            sa.select(QUARANTINE.c.ordinal)
            .where(QUARANTINE.c.status == _REPLAYING, QUARANTINE.c.marked_us < to_us(older_than))
            .order_by(QUARANTINE.c.marked_us)
            .limit(limit)
        )
        statement = (
            sa.update(QUARANTINE)
            .where(QUARANTINE.c.ordinal.in_(chosen))
            .values(marked_us=to_us(self._clock.wall_now()))
            .returning(QUARANTINE)
        )
        async with self._database.begin() as connection:
            return [_row_of(row) for row in await connection.execute(statement)]

    async def unresolved_names(self, limit: int) -> list[tuple[ForeignName, int]]:
        """See `QuarantineStore.unresolved_names`."""
        keys = (QUARANTINE.c.tenant, QUARANTINE.c.source, QUARANTINE.c.name)
        query = (
            sa.select(*keys, sa.func.max(QUARANTINE.c.observed_us).label("observed_us"))
            .where(
                QUARANTINE.c.status == _WAITING,
                QUARANTINE.c.reason.in_([r.value for r in UNRESOLVED]),
            )
            .group_by(*keys)
            .order_by(sa.func.max(QUARANTINE.c.ordinal).desc())
            .limit(limit)
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).all()
        names: list[tuple[ForeignName, int]] = []
        for row in rows:
            device, _, signal = row.name.partition("/")
            names.append(
                (ForeignName(row.tenant, row.source, device, signal), int(row.observed_us or 0))
            )
        return names


def _row_of(row: Any) -> QuarantineRow:  # noqa: ANN401 - a result row
    return QuarantineRow(
        quarantine_id=row.quarantine_id,
        tenant=row.tenant,
        source=row.source,
        name=row.name,
        reason=Reason(row.reason),
        detail=row.detail,
        payload=bytes(row.payload),
        payload_format=row.payload_format,
        headers=dict(row.headers),
        arrived_at=None if row.arrived_us is None else from_us(row.arrived_us),
        observed_us=row.observed_us,
        readings=row.readings,
        raw_seq=row.raw_seq,
        raw_ix=row.raw_ix,
        status=QuarantineStatus(row.status),
        ordinal=row.ordinal,
    )
