"""Verdicts and pipeline alerts in PostgreSQL, each saved with the event that announces it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from telemetry.adapters.tables import ALERTS, VERDICTS
from telemetry.model.pipeline import Hop, PipelineAlert
from telemetry.model.verdict import VerdictChange, VerdictState
from telemetry.wire.events import pipeline_event, verdict_changed
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox
from twinmesh_sdk.core.errors import ConflictError, InvalidInputError
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.core.trust import Verdict


class PostgresVerdictStore:
    """Implements `VerdictStore`."""

    def __init__(self, database: Database, outbox: PostgresOutbox) -> None:
        self._database = database
        self._outbox = outbox

    async def all(self) -> list[VerdictState]:
        """See `VerdictStore.all`."""
        async with self._database.connect() as connection:
            rows = (await connection.execute(sa.select(VERDICTS))).all()
        return [
            VerdictState(
                tenant=row.tenant,
                signal_id=row.signal_id,
                decision=row.decision,
                verdict=Verdict(row.verdict),
                budget_s=row.budget_s,
                observed_at=None if row.observed_us is None else from_us(row.observed_us),
                effective_at=from_us(row.effective_us),
                version=row.version,
            )
            for row in rows
        ]

    async def save(self, changes: Sequence[VerdictChange]) -> None:
        """See `VerdictStore.save`."""
        if not changes:
            return
        added = insert(VERDICTS)
        names = ("verdict", "budget_s", "observed_us", "effective_us", "version")
        statement = added.on_conflict_do_update(
            index_elements=["tenant", "signal_id", "decision"],
            set_={name: added.excluded[name] for name in names},
            where=VERDICTS.c.version == added.excluded.version - 1,
        ).returning(VERDICTS.c.signal_id)
        async with self._database.begin() as connection:
            saved = await connection.execute(
                statement.values([_verdict_values(change.now) for change in changes])
            )
            if len(saved.all()) != len(changes):
                raise ConflictError("a verdict was changed by another process")
            await self._outbox.add(verdict_changed(change) for change in changes)


class PostgresAlertStore:
    """Implements `AlertStore`."""

    def __init__(self, database: Database, outbox: PostgresOutbox) -> None:
        self._database = database
        self._outbox = outbox

    async def open_alerts(self) -> list[PipelineAlert]:
        """See `AlertStore.open_alerts`."""
        query = sa.select(ALERTS).where(ALERTS.c.recovered_us.is_(None))
        async with self._database.connect() as connection:
            return [_alert_of(row) for row in await connection.execute(query)]

    async def page(self, tenant: str, *, after: str, limit: int) -> list[PipelineAlert]:
        """See `AlertStore.page`; `after` is `detected_us:alert_id`."""
        query = sa.select(ALERTS).where(ALERTS.c.tenant == tenant)
        if after:
            moment, _, alert_id = after.partition(":")
            if not (moment.isascii() and moment.lstrip("-").isdigit() and len(moment) <= 20):
                raise InvalidInputError("the cursor is not one of this list")
            place = sa.tuple_(ALERTS.c.detected_us, ALERTS.c.alert_id)
            query = query.where(place < sa.tuple_(sa.literal(int(moment)), sa.literal(alert_id)))
        query = query.order_by(ALERTS.c.detected_us.desc(), ALERTS.c.alert_id.desc()).limit(limit)
        async with self._database.connect() as connection:
            return [_alert_of(row) for row in await connection.execute(query)]

    async def save(self, alert: PipelineAlert) -> None:
        """See `AlertStore.save`."""
        values = _alert_values(alert)
        statement = insert(ALERTS).values(values)
        changed = {name: statement.excluded[name] for name in values if name != "alert_id"}
        async with self._database.begin() as connection:
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["alert_id"], set_=changed)
            )
            await self._outbox.add([pipeline_event(alert)])

    async def last_version(self, tenant: str, source: str) -> int:
        """See `AlertStore.last_version`."""
        query = sa.select(sa.func.coalesce(sa.func.max(ALERTS.c.version), 0)).where(
            ALERTS.c.tenant == tenant, ALERTS.c.source == source
        )
        async with self._database.connect() as connection:
            return int((await connection.execute(query)).scalar_one())


def _verdict_values(state: VerdictState) -> dict[str, Any]:
    return {
        "tenant": state.tenant,
        "signal_id": state.signal_id,
        "decision": state.decision,
        "verdict": state.verdict.value,
        "budget_s": state.budget_s,
        "observed_us": None if state.observed_at is None else to_us(state.observed_at),
        "effective_us": to_us(state.effective_at),
        "version": state.version,
    }


def _alert_values(alert: PipelineAlert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "tenant": alert.tenant,
        "source": alert.source,
        "last_moving_hop": alert.last_moving_hop.value,
        "last_moved_us": to_us(alert.last_moved_at),
        "detected_us": to_us(alert.detected_at),
        "recovered_us": None if alert.recovered_at is None else to_us(alert.recovered_at),
        "signal_ids": list(alert.signal_ids),
        "version": alert.version,
    }


def _alert_of(row: Any) -> PipelineAlert:  # noqa: ANN401 - a result row
    return PipelineAlert(
        alert_id=row.alert_id,
        tenant=row.tenant,
        source=row.source,
        last_moving_hop=Hop(row.last_moving_hop),
        last_moved_at=from_us(row.last_moved_us),
        detected_at=from_us(row.detected_us),
        recovered_at=None if row.recovered_us is None else from_us(row.recovered_us),
        signal_ids=tuple(row.signal_ids),
        version=row.version,
    )
