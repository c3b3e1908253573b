"""Questions to PostgreSQL, as of and as known at the times of a request."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from maintenance_twin.adapters import documents
from maintenance_twin.adapters.tables import CONDITION, ITEM
from maintenance_twin.model.condition import Axis, Condition
from maintenance_twin.model.work_item import Status, WorkItem
from maintenance_twin.ports import Held, ItemFilter
from twinmesh_sdk.adapters.postgres import Database
from twinmesh_sdk.core.ids import AssetId, Tenant
from twinmesh_sdk.core.times import OPEN_US, ReadTime


class PostgresTwinReads:
    """A `TwinReads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def items(
        self, tenant: Tenant, item_ids: Collection[str], at: ReadTime
    ) -> dict[str, Held[WorkItem]]:
        """See `TwinReads.items`."""
        if not item_ids:
            return {}
        query = _held_items(tenant, at).where(ITEM.c.work_item_id.in_(list(item_ids)))
        return {h.value.work_item_id: h for h in await self._items(query, at)}

    async def list_items(
        self,
        tenant: Tenant,
        wanted: ItemFilter,
        at: ReadTime,
        *,
        after: tuple[int, str] | None,
        limit: int,
    ) -> list[Held[WorkItem]]:
        """See `TwinReads.list_items`."""
        query = _held_items(tenant, at)
        if wanted.asset_ids:
            query = query.where(ITEM.c.asset_id.in_([str(a) for a in wanted.asset_ids]))
        if wanted.statuses:
            query = query.where(_status_at(at).in_(sorted(s.value for s in wanted.statuses)))
        if wanted.opened_from_us is not None:
            query = query.where(ITEM.c.valid_from_us >= wanted.opened_from_us)
        if wanted.opened_to_us is not None:
            query = query.where(ITEM.c.valid_from_us < wanted.opened_to_us)
        if after is not None:
            query = query.where(
                sa.tuple_(ITEM.c.valid_from_us, ITEM.c.work_item_id) < sa.tuple_(*after)
            )
        query = query.order_by(ITEM.c.valid_from_us.desc(), ITEM.c.work_item_id.desc())
        return await self._items(query.limit(limit), at)

    async def items_by_asset(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime, *, per_asset: int
    ) -> dict[AssetId, list[Held[WorkItem]]]:
        """See `TwinReads.items_by_asset`."""
        if not asset_ids:
            return {}
        newest = (
            sa.func.row_number()
            .over(
                partition_by=ITEM.c.asset_id,
                order_by=(ITEM.c.valid_from_us.desc(), ITEM.c.work_item_id.desc()),
            )
            .label("place")
        )
        ranked = (
            _held_items(tenant, at)
            .add_columns(newest)
            .where(ITEM.c.asset_id.in_([str(a) for a in asset_ids]))
            .subquery()
        )
        query = (
            sa.select(ranked)
            .where(ranked.c.place <= per_asset)
            .order_by(ranked.c.valid_from_us.desc(), ranked.c.work_item_id.desc())
        )
        grouped: dict[AssetId, list[Held[WorkItem]]] = {}
        for held in await self._items(query, at):
            grouped.setdefault(held.value.asset_id, []).append(held)
        return grouped

    async def conditions(
        self, tenant: Tenant, asset_ids: Collection[AssetId], at: ReadTime
    ) -> dict[AssetId, dict[Axis, Held[Condition]]]:
        """See `TwinReads.conditions`."""
        if not asset_ids:
            return {}
        query = sa.select(CONDITION).where(
            CONDITION.c.tenant == str(tenant),
            CONDITION.c.asset_id.in_([str(a) for a in asset_ids]),
            CONDITION.c.valid_from_us <= at.as_of_us,
            CONDITION.c.valid_to_us > at.as_of_us,
            CONDITION.c.recorded_from_us <= at.known_at_us,
            CONDITION.c.recorded_to_us > at.known_at_us,
        )
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found: dict[AssetId, dict[Axis, Held[Condition]]] = {}
        for row in rows:
            held = Held(documents.condition_of_json(row["document"]), **_bounds(row))
            found.setdefault(AssetId(row["asset_id"]), {})[Axis(row["axis"])] = held
        return found

    async def _items(self, query: sa.Select[Any], at: ReadTime) -> list[Held[WorkItem]]:
        async with self._database.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return [_as_of(Held(documents.item_of_json(r["document"]), **_bounds(r)), at) for r in rows]


def _bounds(row: Any) -> dict[str, int]:  # noqa: ANN401 - a driver's row
    names = ("valid_from_us", "valid_to_us", "recorded_from_us", "recorded_to_us")
    return {name: row[name] for name in names}


def _held_items(tenant: Tenant, at: ReadTime) -> sa.Select[Any]:
    """Return the query for items known then that had been opened by then."""
    return sa.select(ITEM).where(
        ITEM.c.tenant == str(tenant),
        ITEM.c.valid_from_us <= at.as_of_us,
        ITEM.c.recorded_from_us <= at.known_at_us,
        ITEM.c.recorded_to_us > at.known_at_us,
    )


def _status_at(at: ReadTime) -> sa.ColumnElement[str]:
    """Return the status as of a time: an item that closed later was open then."""
    later = sa.and_(ITEM.c.status == Status.CLOSED.value, ITEM.c.valid_to_us > at.as_of_us)
    return sa.case((later, Status.OPEN.value), else_=ITEM.c.status)


def _as_of(held: Held[WorkItem], at: ReadTime) -> Held[WorkItem]:
    """Return the item as it stood: its later end was not yet true."""
    item = held.value
    if item.status is not Status.CLOSED or item.closed_us is None or item.closed_us <= at.as_of_us:
        return held
    opened = replace(
        item, status=Status.OPEN, closed_us=None, close_reason=None, degraded_to_us=None
    )
    return replace(held, value=opened, valid_to_us=OPEN_US)
