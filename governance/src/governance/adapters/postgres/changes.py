"""Deprecations, overrides, and events about them, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import delete, desc, select
from sqlalchemy.dialects.postgresql import insert

from governance.adapters import rows
from governance.adapters.postgres.transaction import Transaction
from governance.adapters.tables import DEPRECATIONS, OUTBOX, OVERRIDES
from governance.model.changes import Deprecation, Override, UsedPartDeprecated
from governance.wire.announcements import envelope_of

MAX_OVERRIDES: Final = 1_000


class PostgresChanges(Transaction):
    """See `ChangeSession`."""

    async def deprecations(self, service: str = "") -> list[Deprecation]:
        """See `ChangeSession.deprecations`."""
        query = select(DEPRECATIONS).order_by(DEPRECATIONS.c.service, DEPRECATIONS.c.coordinate)
        if service:
            query = query.where(DEPRECATIONS.c.service == service)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.deprecation_of(dict(row)) for row in found]

    async def replace_deprecations(self, service: str, now: Sequence[Deprecation]) -> None:
        """See `ChangeSession.replace_deprecations`."""
        await self.connection.execute(delete(DEPRECATIONS).where(DEPRECATIONS.c.service == service))
        if now:
            values = [rows.deprecation_row(each) for each in now]
            await self.connection.execute(insert(DEPRECATIONS).values(values))

    async def overrides(self, *, unexpired_at: datetime | None = None) -> list[Override]:
        """See `ChangeSession.overrides`."""
        newest = (desc(OVERRIDES.c.requested_at), OVERRIDES.c.id)
        query = select(OVERRIDES).order_by(*newest).limit(MAX_OVERRIDES)
        if unexpired_at is not None:
            query = query.where(OVERRIDES.c.expires_at > unexpired_at)
        found = (await self.connection.execute(query)).mappings().all()
        return [rows.override_of(dict(row)) for row in found]

    async def save_override(self, override: Override) -> None:
        """See `ChangeSession.save_override`."""
        await self.upsert(OVERRIDES, rows.override_row(override), ("id",))

    async def announce(self, facts: Sequence[UsedPartDeprecated]) -> None:
        """See `ChangeSession.announce`; an event that waits already is saved once."""
        if facts:
            values = [rows.outbox_row(envelope_of(fact)) for fact in facts]
            await self.connection.execute(insert(OUTBOX).values(values).on_conflict_do_nothing())
