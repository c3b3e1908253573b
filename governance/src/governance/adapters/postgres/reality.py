"""Charter against reality in PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import case, delete, func, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from governance.adapters.postgres.transaction import with_deadlines
from governance.adapters.rows.outbox import outbox_row
from governance.adapters.rows.reality import reality_of, reality_row, report_of
from governance.adapters.tables import OUTBOX
from governance.adapters.tables.reality import (
    REALITY_HOURS,
    REALITY_REPORTS,
    REALITY_SIGNALS,
    REALITY_STANDINGS,
)
from governance.decide.reality import HOUR, WINDOW, by_hour
from governance.model.reality import CharterTurned, Measure, Reality, Report, Told
from governance.wire.reality import envelope_of
from twinmesh_sdk.core.errors import ConflictError, UnavailableError
from twinmesh_sdk.core.ids import Tenant

LOCK: Final = 0x7477_7265_616C  # standings of all tenants are saved one after the other; "twreal"


class PostgresReality:
    """See `RealityStore`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def told(self, told: Told) -> bool:
        """See `RealityStore.told`."""
        table = REALITY_SIGNALS
        key = (
            (table.c.tenant == told.tenant)
            & (table.c.decision == told.decision)
            & (table.c.signal_id == told.signal_id)
        )
        async with self._begin() as connection:
            row = (await connection.execute(select(table).where(key).with_for_update())).first()
            if row is not None and told.effective_at <= row.effective_at:
                return False
            if row is not None and row.within is not None:
                await self._add(connection, told, row.effective_at, within=row.within)
            values = {
                "tenant": told.tenant,
                "decision": told.decision,
                "signal_id": told.signal_id,
                "within": told.within,
                "effective_at": told.effective_at,
            }
            statement = insert(table).values(values)
            saved = await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tenant", "decision", "signal_id"],
                    set_={"within": told.within, "effective_at": told.effective_at},
                    where=table.c.effective_at < told.effective_at,
                )
            )
            return bool(saved.rowcount)

    async def _add(
        self, connection: AsyncConnection, told: Told, since: datetime, *, within: bool
    ) -> None:
        """Add the stretch that ends now to the hours that it touches."""
        table = REALITY_HOURS
        for hour, seconds in by_hour(since, told.effective_at):
            statement = insert(table).values(
                tenant=told.tenant,
                decision=told.decision,
                hour=hour,
                within_s=seconds if within else 0.0,
                outside_s=0.0 if within else seconds,
            )
            await connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["tenant", "decision", "hour"],
                    set_={
                        "within_s": table.c.within_s + statement.excluded.within_s,
                        "outside_s": table.c.outside_s + statement.excluded.outside_s,
                    },
                )
            )
        old = table.c.hour < told.effective_at - 2 * WINDOW
        await connection.execute(
            delete(table).where(
                table.c.tenant == told.tenant, table.c.decision == told.decision, old
            )
        )

    async def reported(self, report: Report) -> None:
        """See `RealityStore.reported`."""
        key = ("tenant", "service", "metric")
        values = {name: getattr(report, name) for name in (*key, "value", "samples", "at")}
        statement = insert(REALITY_REPORTS).values(values)
        changed = {name: statement.excluded[name] for name in ("value", "samples", "at")}
        async with self._begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=list(key), set_=changed)
            )

    async def tenants(self) -> list[Tenant]:
        """See `RealityStore.tenants`."""
        known = union(
            select(REALITY_SIGNALS.c.tenant),
            select(REALITY_REPORTS.c.tenant),
            select(REALITY_STANDINGS.c.tenant),
        )
        async with self._begin() as connection:
            return sorted(Tenant(name) for (name,) in await connection.execute(known))

    async def shares(self, tenant: Tenant, now: datetime) -> Mapping[str, Measure]:
        """See `RealityStore.shares`."""
        start = now - WINDOW
        closed = (
            select(
                REALITY_HOURS.c.decision,
                func.sum(REALITY_HOURS.c.within_s),
                func.sum(REALITY_HOURS.c.outside_s),
            )
            .where(
                REALITY_HOURS.c.tenant == tenant,
                REALITY_HOURS.c.hour > start - HOUR,
                REALITY_HOURS.c.hour <= now,
            )
            .group_by(REALITY_HOURS.c.decision)
        )
        signals = REALITY_SIGNALS
        lasted = func.greatest(
            0.0,
            func.extract("epoch", now - func.greatest(signals.c.effective_at, start)),
        )
        open_ = (
            select(
                signals.c.decision,
                func.sum(case((signals.c.within, lasted), else_=0.0)),
                func.sum(case((signals.c.within.is_(False), lasted), else_=0.0)),
                func.count(signals.c.within),
            )
            .where(signals.c.tenant == tenant, signals.c.within.is_not(None))
            .group_by(signals.c.decision)
        )
        within: dict[str, float] = {}
        outside: dict[str, float] = {}
        count: dict[str, int] = {}
        async with self._begin() as connection:
            for decision, good_s, bad_s in await connection.execute(closed):
                within[decision], outside[decision] = float(good_s), float(bad_s)
            for decision, good_s, bad_s, signals_ in await connection.execute(open_):
                within[decision] = within.get(decision, 0.0) + float(good_s)
                outside[decision] = outside.get(decision, 0.0) + float(bad_s)
                count[decision] = signals_
        return {
            decision: Measure(good_s / (good_s + outside[decision]), count.get(decision, 0))
            for decision, good_s in within.items()
            if good_s + outside[decision] > 0
        }

    async def coverage(self, tenant: Tenant) -> Mapping[str, Measure]:
        """See `RealityStore.coverage`."""
        signals = REALITY_SIGNALS
        query = (
            select(
                signals.c.decision,
                func.count().filter(signals.c.within),
                func.count(signals.c.within),
            )
            .where(signals.c.tenant == tenant, signals.c.within.is_not(None))
            .group_by(signals.c.decision)
        )
        async with self._begin() as connection:
            found = await connection.execute(query)
            return {name: Measure(good / count, count) for name, good, count in found}

    async def reports(self, tenant: Tenant, since: datetime) -> list[Report]:
        """See `RealityStore.reports`."""
        query = select(REALITY_REPORTS).where(
            REALITY_REPORTS.c.tenant == tenant, REALITY_REPORTS.c.at >= since
        )
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [report_of(dict(row)) for row in found]

    async def standings(self, tenant: Tenant) -> list[Reality]:
        """See `RealityStore.standings`."""
        table = REALITY_STANDINGS
        query = select(table).where(table.c.tenant == tenant)
        query = query.order_by(table.c.service, table.c.kind, table.c.name)
        async with self._begin() as connection:
            found = (await connection.execute(query)).mappings().all()
        return [reality_of(dict(row)) for row in found]

    async def save(
        self, tenant: Tenant, standings: Sequence[Reality], facts: Sequence[CharterTurned]
    ) -> None:
        """See `RealityStore.save`."""
        table = REALITY_STANDINGS
        async with self._begin() as connection:
            await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
            mine = table.c.tenant == tenant
            known = await connection.execute(
                select(table.c.service, table.c.kind, table.c.name, table.c.version).where(mine)
            )
            before = {(service, kind, name): version for service, kind, name, version in known}
            for each in standings:
                promise = each.promise
                last = before.get((promise.service, promise.kind.value, promise.name), 0)
                if not last <= each.version <= last + 1:
                    raise ConflictError("another process judged the charters meanwhile")
            await connection.execute(delete(table).where(mine))
            if standings:
                await connection.execute(table.insert(), [reality_row(each) for each in standings])
            if facts:
                events = [outbox_row(envelope_of(fact)) for fact in facts]
                await connection.execute(insert(OUTBOX).values(events).on_conflict_do_nothing())

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self._engine.begin() as connection:
                await with_deadlines(connection)
                yield connection
        except (DBAPIError, SqlTimeoutError, OSError, TimeoutError) as error:
            raise UnavailableError("the contract registry's store did not answer") from error
