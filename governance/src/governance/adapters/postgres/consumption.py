"""Who uses what, in PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Boolean, ColumnElement, delete, desc, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from governance.adapters import rows
from governance.adapters.postgres.changes import PostgresChanges
from governance.adapters.postgres.contracts import PostgresContracts
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import (
    CLIENT_OWNERS,
    CONSUMPTION_REPORTS,
    CONTRACT_USES,
    DEPRECATIONS,
)
from governance.model.changes import Deprecation
from governance.model.consumption import ClientOwner, Report, Use
from twinmesh_sdk.core.errors import LimitExceededError
from twinmesh_sdk.core.times import format_time

ROWS_AT_ONCE: Final = 1_000
MAX_READ: Final = 200_000


class PostgresUses(Transaction):
    """See `UseSession`."""

    async def uses(self, *, since: datetime, service: str = "", tenant: str = "") -> list[Use]:
        """See `UseSession.uses`."""
        uses = CONTRACT_USES.c
        query = (
            select(
                uses.client,
                uses.kind,
                uses.coordinate,
                uses.service,
                func.min(uses.first_at).label("first_at"),
                func.max(uses.last_at).label("last_at"),
                func.sum(uses.count).label("count"),
            )
            .where(uses.last_at >= since)
            .group_by(uses.client, uses.kind, uses.coordinate, uses.service)
            .order_by(uses.client, uses.kind, uses.coordinate, uses.service)
            .limit(MAX_READ + 1)
        )
        if service:
            query = query.where(uses.service.in_([service, ""]))
        if tenant:
            query = query.where(uses.tenant == tenant)
        found = (await self.connection.execute(query)).mappings().all()
        if len(found) > MAX_READ:  # judging by a part of them would call the others nobody
            raise LimitExceededError(
                f"more than {MAX_READ} uses since {format_time(since)}",
                hint="shorten TWIN_USE_WINDOW_DAYS",
            )
        return [rows.use_of(dict(row)) for row in found]

    async def uses_by_tenant(self, *, since: datetime, service: str) -> dict[str, list[Use]]:
        """See `UseSession.uses_by_tenant`."""
        uses = CONTRACT_USES.c
        query = (
            select(CONTRACT_USES)
            .where(uses.last_at >= since, uses.service.in_([service, ""]))
            .order_by(uses.tenant, uses.client, uses.kind, uses.coordinate)
            .limit(MAX_READ)
        )
        found: dict[str, list[Use]] = {}
        for row in (await self.connection.execute(query)).mappings().all():
            found.setdefault(row["tenant"], []).append(rows.use_of(dict(row)))
        return found

    async def observed_since(self) -> datetime | None:
        """See `UseSession.observed_since`."""
        query = select(func.min(CONTRACT_USES.c.first_at))
        first: datetime | None = (await self.connection.execute(query)).scalar_one()
        return rows.utc(first) if first is not None else None

    async def owners(self) -> list[ClientOwner]:
        """See `UseSession.owners`."""
        found = (await self.connection.execute(select(CLIENT_OWNERS))).mappings().all()
        return [rows.owner_of(dict(row)) for row in found]

    async def save_owner(self, owner: ClientOwner) -> None:
        """See `UseSession.save_owner`."""
        values: dict[str, object] = {
            "client": owner.client,
            "team": owner.team,
            "contact": owner.contact,
        }
        await self.upsert(CLIENT_OWNERS, values, ("client",))


class PostgresConsumption(PostgresUses, PostgresChanges, PostgresContracts):
    """See `ConsumptionSession`."""

    async def first_time(self, report: Report) -> bool:
        """See `ConsumptionSession.first_time`."""
        statement = (
            insert(CONSUMPTION_REPORTS)
            .values(
                tenant=report.tenant,
                reporter=report.reporter,
                instance=report.instance,
                sequence=report.sequence,
                received_at=func.now(),
            )
            .on_conflict_do_nothing()
            .returning(CONSUMPTION_REPORTS.c.sequence)
        )
        return (await self.connection.execute(statement)).scalar_one_or_none() is not None

    async def add_uses(self, tenant: str, uses: Sequence[Use]) -> list[Use]:
        """See `ConsumptionSession.add_uses`. In the order of the key: writers never deadlock."""
        joined: dict[tuple[str, str, str, str], Use] = {}
        for use in uses:
            key = (use.client, str(use.kind), use.coordinate, use.service)
            joined[key] = joined[key].joined(use) if key in joined else use
        ordered = [rows.use_row(tenant, joined[key]) for key in sorted(joined)]
        first: list[Use] = []
        for start in range(0, len(ordered), ROWS_AT_ONCE):
            statement = insert(CONTRACT_USES).values(ordered[start : start + ROWS_AT_ONCE])
            known, new = CONTRACT_USES.c, statement.excluded
            inserted = literal_column("xmax = 0", Boolean).label("inserted")
            found = await self.connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tenant", "client", "kind", "coordinate", "service"],
                    set_={
                        "first_at": func.least(known.first_at, new.first_at),
                        "last_at": func.greatest(known.last_at, new.last_at),
                        "count": known.count + new.count,
                    },
                ).returning(CONTRACT_USES, inserted)
            )
            first += [rows.use_of(dict(row)) for row in found.mappings() if row["inserted"]]
        return first

    async def deprecated(self, coordinates: Collection[str]) -> list[Deprecation]:
        """See `ConsumptionSession.deprecated`."""
        query = select(DEPRECATIONS).where(DEPRECATIONS.c.coordinate.in_(sorted(coordinates)))
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.deprecation_of(dict(row)) for row in found]

    async def forget(
        self, *, uses_before: datetime, reports_before: datetime, at_most: int, limit: int
    ) -> int:
        """See `ConsumptionSession.forget`."""
        uses, reports = CONTRACT_USES.c, CONSUMPTION_REPORTS.c
        key: list[ColumnElement[object]] = [
            uses.tenant, uses.client, uses.kind, uses.coordinate, uses.service,
        ]  # fmt: skip
        old = select(*key).where(uses.last_at < uses_before).limit(limit)
        gone = await self.connection.execute(delete(CONTRACT_USES).where(tuple_(*key).in_(old)))
        newest = select(*key).order_by(desc(uses.last_at)).offset(at_most).limit(limit)
        over = await self.connection.execute(delete(CONTRACT_USES).where(tuple_(*key).in_(newest)))
        ids: list[ColumnElement[object]] = [
            reports.tenant, reports.reporter, reports.instance, reports.sequence,
        ]  # fmt: skip
        counted = select(*ids).where(reports.received_at < reports_before).limit(limit)
        await self.connection.execute(delete(CONSUMPTION_REPORTS).where(tuple_(*ids).in_(counted)))
        return int(gone.rowcount) + int(over.rowcount)
