"""Twins in PostgreSQL: state, what it says, and what it announces, in one transaction."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from maintenance_twin import wire
from maintenance_twin.adapters import documents
from maintenance_twin.adapters.tables import CONDITION, ITEM, PRUNED, ROWS, TWIN, WITHDRAWN
from maintenance_twin.decide.twin import AssetTwin
from maintenance_twin.model.condition import Axis
from maintenance_twin.model.row import Row
from maintenance_twin.model.tuning import Tuning
from maintenance_twin.model.work_item import Status, WorkItem
from maintenance_twin.ports import Change, ConditionRewrite, Withdrawal
from twinmesh_sdk.adapters.postgres import Database, PostgresOutbox, RecordedClock
from twinmesh_sdk.core.errors import ConflictError
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import OPEN_US, to_us

BLOCK_ROWS: Final = 64
"""Rows per block of the row log; fewer wait in the twin's document."""

FENCE: Final = 0x7477_6D66_656E  # "twmfen": saves share it, a withdrawal has it alone
MAX_BLOCKS: Final = 50_000
"""Blocks read for one correction: three million rows."""


def _save_if_unchanged() -> Any:  # noqa: ANN401 - a statement of the dialect
    """Return the statement that saves twins that nobody saved since; it tells which."""
    fresh = insert(TWIN)
    names = ("version", "changes", "oldest_us", "silent", "document")
    return fresh.on_conflict_do_update(
        index_elements=["tenant", "asset_id"],
        set_={name: fresh.excluded[name] for name in names},
        where=TWIN.c.version == fresh.excluded.version - 1,
    ).returning(TWIN.c.tenant, TWIN.c.asset_id)


_SAVE: Final = _save_if_unchanged()


class PostgresTwinStore:
    """A `TwinStore`.

    Recorded times come from the database's recorded clock, so their order is that of the commits:
    who asks `known_at` a time sees all that was saved by then, and nothing of what came later.
    """

    def __init__(
        self,
        database: Database,
        outbox: PostgresOutbox,
        recorded: RecordedClock,
        tuning: Tuning,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._recorded = recorded
        self._tuning = tuning

    async def load(
        self, tenant: Tenant, asset_ids: Collection[AssetId]
    ) -> dict[AssetId, AssetTwin]:
        """See `TwinStore.load`."""
        if not asset_ids:
            return {}
        query = sa.select(TWIN).where(
            TWIN.c.tenant == str(tenant), TWIN.c.asset_id.in_([str(a) for a in asset_ids])
        )
        async with self._database.connect() as connection:
            found = (await connection.execute(query)).mappings().all()
        return {
            AssetId(row["asset_id"]): documents.twin_of_json(
                bytes(row["document"]),
                tenant=tenant,
                asset_id=AssetId(row["asset_id"]),
                version=row["version"],
                changes=row["changes"],
                tuning=self._tuning,
            )
            for row in found
        }

    async def save(self, changes: Sequence[Change]) -> None:
        """See `TwinStore.save`. The versions of the twins are raised when all is committed."""
        if not changes:
            return
        ordered = sorted(changes, key=lambda c: (c.twin.tenant, c.twin.asset_id))
        kept = [self._split(change.twin) for change in ordered]
        models = frozenset[str]().union(*(change.models for change in ordered))
        async with self._database.begin() as connection:
            await _refuse_withdrawn(connection, models)
            await self._save_twins(connection, ordered, [waiting for _, waiting in kept])
            await self._save_rows(connection, ordered, [logged for logged, _ in kept])
            for change in ordered:
                if change.completed:
                    await _complete_rows(connection, change)
            telling = [c for c in ordered if c.rewrites or c.items or c.announcements or c.measured]
            if telling:
                recorded_us = to_us(await self._recorded.tick())
                for change in telling:
                    for rewrite in change.rewrites:
                        await _rewrite(connection, change.twin, rewrite, recorded_us)
                    for item in change.items:
                        await _save_item(connection, item, recorded_us)
                    await self._outbox.add(
                        wire.envelopes_of(
                            change,
                            recorded_us=recorded_us,
                            first_change=change.twin.changes + 1,
                        )
                    )
        for change, (_, waiting) in zip(ordered, kept, strict=True):
            change.twin.version += 1
            change.twin.changes += len(change.announcements)
            change.twin.unlogged = waiting

    @staticmethod
    def _split(twin: AssetTwin) -> tuple[list[Row], list[Row]]:
        """Return the rows that fill blocks, and those that wait for more."""
        full = len(twin.unlogged) // BLOCK_ROWS * BLOCK_ROWS
        return twin.unlogged[:full], twin.unlogged[full:]

    async def _save_twins(
        self,
        connection: AsyncConnection,
        changes: Sequence[Change],
        waiting: Sequence[list[Row]],
    ) -> None:
        """Save where the evaluations stand, in one statement; compare versions."""
        rows = [
            {
                "tenant": str(change.twin.tenant),
                "asset_id": str(change.twin.asset_id),
                "version": change.twin.version + 1,
                "changes": change.twin.changes + len(change.announcements),
                "oldest_us": change.twin.oldest_us,
                "silent": change.twin.silent_us is not None,
                "document": documents.twin_to_json(change.twin, unlogged=left),
            }
            for change, left in zip(changes, waiting, strict=True)
        ]
        saved = {tuple(row) for row in await connection.execute(_SAVE, rows)}
        lost = [row for row in rows if (row["tenant"], row["asset_id"]) not in saved]
        if lost:
            raise ConflictError(f"twin of {lost[0]['asset_id']} was saved by another")

    async def _save_rows(
        self, connection: AsyncConnection, changes: Sequence[Change], logged: Sequence[list[Row]]
    ) -> None:
        blocks = []
        for change, rows in zip(changes, logged, strict=True):
            names = [s.name for s in change.twin.profile.signals]
            for first in range(0, len(rows), BLOCK_ROWS):
                block = rows[first : first + BLOCK_ROWS]
                blocks.append(
                    {
                        "tenant": str(change.twin.tenant),
                        "asset_id": str(change.twin.asset_id),
                        "first_us": block[0].t_us,
                        "last_us": block[-1].t_us,
                        "rows": len(block),
                        "names": names,
                        "data": documents.rows_to_bytes(block, len(names)),
                    }
                )
        if blocks:
            await connection.execute(insert(ROWS), blocks)

    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """See `TwinStore.withdraw`. Waits for saves under way; those that follow see it."""
        fresh = insert(WITHDRAWN).values(
            version=withdrawal.version,
            reason=withdrawal.reason,
            recalled_at_us=withdrawal.recalled_at_us,
        )
        async with self._database.begin() as connection:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(FENCE)))
            await connection.execute(fresh.on_conflict_do_nothing())

    async def withdrawn(self) -> set[str]:
        """See `TwinStore.withdrawn`."""
        async with self._database.connect() as connection:
            return set((await connection.execute(sa.select(WITHDRAWN.c.version))).scalars())

    async def decided_by(self, version: str, *, limit: int) -> list[tuple[Tenant, AssetId]]:
        """See `TwinStore.decided_by`."""
        conditions = sa.select(CONDITION.c.tenant, CONDITION.c.asset_id).where(
            CONDITION.c.document["model"].astext == version,
            CONDITION.c.recorded_to_us == OPEN_US,
            CONDITION.c.valid_to_us == OPEN_US,
            CONDITION.c.axis == Axis.CONDITION.value,
        )
        items = sa.select(ITEM.c.tenant, ITEM.c.asset_id).where(
            ITEM.c.document["model"].astext == version,
            ITEM.c.recorded_to_us == OPEN_US,
            ITEM.c.status == Status.OPEN.value,
        )
        query = conditions.union(items).limit(limit)
        async with self._database.connect() as connection:
            found = (await connection.execute(query)).all()
        return [(Tenant(tenant), AssetId(asset_id)) for tenant, asset_id in found]

    async def rows(self, tenant: Tenant, asset_id: AssetId, from_us: int) -> list[Row] | None:
        """See `TwinStore.rows`."""
        mine = (ROWS.c.tenant == str(tenant), ROWS.c.asset_id == str(asset_id))
        query = sa.select(ROWS).where(*mine, ROWS.c.last_us >= from_us).order_by(ROWS.c.first_us)
        pruned = sa.select(PRUNED.c.before_us).where(PRUNED.c.tenant == str(tenant))
        async with self._database.connect() as connection:
            before_us = (await connection.execute(pruned)).scalar_one_or_none()
            found = (await connection.execute(query.limit(MAX_BLOCKS))).mappings().all()
        if before_us is not None and from_us < before_us:
            return None
        names = found[-1]["names"] if found else []
        return [
            row
            for block in found
            if block["names"] == names
            for row in documents.rows_of_bytes(bytes(block["data"]), block["rows"], len(names))
            if row.t_us >= from_us
        ]

    async def items_from(self, tenant: Tenant, asset_id: AssetId, from_us: int) -> list[WorkItem]:
        """See `TwinStore.items_from`."""
        query = (
            sa.select(ITEM.c.document)
            .where(
                ITEM.c.tenant == str(tenant),
                ITEM.c.asset_id == str(asset_id),
                ITEM.c.recorded_to_us == OPEN_US,
                ITEM.c.status != Status.SUPERSEDED.value,
                sa.or_(ITEM.c.valid_from_us >= from_us, ITEM.c.valid_to_us > from_us),
            )
            .order_by(ITEM.c.valid_from_us, ITEM.c.work_item_id)
        )
        async with self._database.connect() as connection:
            found = (await connection.execute(query)).scalars().all()
        return [documents.item_of_json(document) for document in found]

    async def silence_candidates(
        self, tenant: Tenant, *, before_us: int, limit: int
    ) -> list[AssetId]:
        """See `TwinStore.silence_candidates`."""
        query = (
            sa.select(TWIN.c.asset_id)
            .where(
                TWIN.c.tenant == str(tenant),
                TWIN.c.silent.is_(False),
                TWIN.c.oldest_us < before_us,
            )
            .order_by(TWIN.c.oldest_us)
            .limit(limit)
        )
        async with self._database.connect() as connection:
            return [AssetId(a) for a in (await connection.execute(query)).scalars()]

    async def tenants(self) -> list[Tenant]:
        """See `TwinStore.tenants`."""
        query = sa.select(TWIN.c.tenant).distinct().order_by(TWIN.c.tenant)
        async with self._database.connect() as connection:
            return [Tenant(t) for t in (await connection.execute(query)).scalars()]

    async def prune(self, tenant: Tenant, *, before_us: int) -> int:
        """See `TwinStore.prune`."""
        old = sa.delete(ROWS).where(ROWS.c.tenant == str(tenant), ROWS.c.last_us < before_us)
        async with self._database.begin() as connection:
            count = int((await connection.execute(old)).rowcount)
            if count:
                mark = insert(PRUNED).values(tenant=str(tenant), before_us=before_us)
                await connection.execute(
                    mark.on_conflict_do_update(
                        index_elements=["tenant"], set_={"before_us": before_us}
                    )
                )
        return count


async def _refuse_withdrawn(connection: AsyncConnection, models: frozenset[str]) -> None:
    """Let nothing be saved that a withdrawn model version may have decided.

    The shared lock is held until the commit, and a withdrawal takes it exclusively: it either comes
    before this look, or after all of what is saved here.
    """
    if not models:
        return
    await connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(FENCE)))
    query = sa.select(WITHDRAWN.c.version).where(WITHDRAWN.c.version.in_(sorted(models)))
    gone = (await connection.execute(query)).scalars().first()
    if gone is not None:
        raise ConflictError(f"model version {gone} was withdrawn meanwhile")


async def _complete_rows(connection: AsyncConnection, change: Change) -> None:
    """Put completed rows in the place of those of their time, block by block."""
    fresh = {row.t_us: row for row in change.completed}
    names = [s.name for s in change.twin.profile.signals]
    mine = (
        ROWS.c.tenant == str(change.twin.tenant),
        ROWS.c.asset_id == str(change.twin.asset_id),
    )
    query = sa.select(ROWS).where(
        *mine, ROWS.c.last_us >= min(fresh), ROWS.c.first_us <= max(fresh)
    )
    for block in (await connection.execute(query)).mappings().all():
        rows = documents.rows_of_bytes(bytes(block["data"]), block["rows"], len(block["names"]))
        if block["names"] != names or not any(row.t_us in fresh for row in rows):
            continue
        data = documents.rows_to_bytes([fresh.get(r.t_us, r) for r in rows], len(names))
        await connection.execute(
            sa.update(ROWS).where(*mine, ROWS.c.first_us == block["first_us"]).values(data=data)
        )


async def _rewrite(
    connection: AsyncConnection, twin: AssetTwin, rewrite: ConditionRewrite, recorded_us: int
) -> None:
    """Replace what is held on one axis from a time on; what was held stays known as of then."""
    held = (
        CONDITION.c.tenant == str(twin.tenant),
        CONDITION.c.asset_id == str(twin.asset_id),
        CONDITION.c.axis == rewrite.axis.value,
        CONDITION.c.recorded_to_us == OPEN_US,
        CONDITION.c.valid_to_us > rewrite.from_us,
    )
    told = (CONDITION.c.valid_from_us, CONDITION.c.document)
    # What this transaction itself wrote was never known to anyone.
    undone = await connection.execute(
        sa.delete(CONDITION)
        .where(*held, CONDITION.c.recorded_from_us == recorded_us)
        .returning(*told)
    )
    ended = await connection.execute(
        sa.update(CONDITION).where(*held).values(recorded_to_us=recorded_us).returning(*told)
    )
    key = {
        "tenant": str(twin.tenant),
        "asset_id": str(twin.asset_id),
        "axis": rewrite.axis.value,
        "recorded_from_us": recorded_us,
        "recorded_to_us": OPEN_US,
    }
    fresh: list[dict[str, Any]] = [
        {
            **key,
            "valid_from_us": row.valid_from_us,
            "valid_to_us": rewrite.from_us,
            "document": row.document,
        }
        for row in (*undone, *ended)
        if row.valid_from_us < rewrite.from_us
    ]
    starts = [max(c.from_us, rewrite.from_us) for c in rewrite.conditions] + [OPEN_US]
    fresh += [
        {
            **key,
            "valid_from_us": start,
            "valid_to_us": end,
            "document": documents.condition_to_json(condition),
        }
        for condition, start, end in zip(rewrite.conditions, starts, starts[1:], strict=False)
        if start < end
    ]
    if fresh:
        await connection.execute(insert(CONDITION), fresh)


async def _save_item(connection: AsyncConnection, item: WorkItem, recorded_us: int) -> None:
    """Add a version of an item; the one before is no longer held."""
    same = (ITEM.c.tenant == str(item.tenant), ITEM.c.work_item_id == item.work_item_id)
    if item.version > 1:
        # Versions of one transaction are recorded at one time: the last of them is the one held.
        await connection.execute(
            sa.delete(ITEM).where(*same, ITEM.c.recorded_from_us == recorded_us)
        )
        await connection.execute(
            sa.update(ITEM)
            .where(*same, ITEM.c.recorded_to_us == OPEN_US)
            .values(recorded_to_us=recorded_us)
        )
    await connection.execute(
        insert(ITEM).values(
            tenant=str(item.tenant),
            work_item_id=item.work_item_id,
            version=item.version,
            asset_id=str(item.asset_id),
            status=item.status.value,
            valid_from_us=item.opened_us,
            valid_to_us=OPEN_US if item.closed_us is None else item.closed_us,
            recorded_from_us=recorded_us,
            recorded_to_us=OPEN_US,
            document=documents.item_to_json(item),
        )
    )
