"""The asset graph over Bolt: locks, loads, decides, saves; and reads in batches."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString, TypeVar

from neo4j import AsyncManagedTransaction

from asset_registry import wire
from asset_registry.adapters.neo4j_graph import Graph, Rows, rows_of
from asset_registry.adapters.neo4j_reads import Neo4jReads
from asset_registry.adapters.neo4j_rows import (
    ALIAS,
    ASSET,
    CONFIGURATION,
    RELATION,
    SIGNAL,
    Kind,
    kind_of,
    props_of,
    record_of,
)
from asset_registry.decide import Ledger
from asset_registry.model import AliasKey, AssetFact, Fact, Record
from asset_registry.ports import Touch
from twinmesh_sdk.core.ids import Tenant
from twinmesh_sdk.core.times import OPEN_US, to_us
from twinmesh_sdk.ports.clock import Clock

T = TypeVar("T")

_LOCK_OR_CREATE: Final[LiteralString] = """
UNWIND $keys AS key
MERGE (a:Anchor {key: key})
ON CREATE SET a.tenant = $tenant, a.version = 0, a.recorded_us = 0
SET a.version = a.version + 1
RETURN a.key AS key, a.version AS version, a.recorded_us AS recorded_us
"""
_LOCK: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (a:Anchor {key: key})
WHERE a.tenant = $tenant
SET a.version = a.version + 1
RETURN a.key AS key, a.version AS version, a.recorded_us AS recorded_us
"""
_ALIASES: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:AliasAssignment {owner: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_ASSETS: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:AssetVersion {owner: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_RELATIONS: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:Relation {owner: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_CONFIGURATIONS: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:Configuration {owner: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_SIGNALS: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:Signal {owner: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_SPEAKERS: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (v:Signal {address_key: key})
WHERE v.tenant = $tenant AND v.recorded_to_us = $open RETURN v
"""
_LANES: Final[dict[str, tuple[LiteralString, Kind]]] = {
    "relation": (_RELATIONS, RELATION),
    "configuration": (_CONFIGURATIONS, CONFIGURATION),
    "signal": (_SIGNALS, SIGNAL),
}
_CLOSE: Final[dict[str, LiteralString]] = {
    "AssetVersion": "UNWIND $ids AS id MATCH (v:AssetVersion {version_id: id}) "
    "SET v.recorded_to_us = $at",
    "AliasAssignment": "UNWIND $ids AS id MATCH (v:AliasAssignment {version_id: id}) "
    "SET v.recorded_to_us = $at",
    "Relation": "UNWIND $ids AS id MATCH (v:Relation {version_id: id}) SET v.recorded_to_us = $at",
    "Configuration": "UNWIND $ids AS id MATCH (v:Configuration {version_id: id}) "
    "SET v.recorded_to_us = $at",
    "Signal": "UNWIND $ids AS id MATCH (v:Signal {version_id: id}) SET v.recorded_to_us = $at",
}
_CREATE_ANCHORS: Final[LiteralString] = """
UNWIND $keys AS key
CREATE (a:Anchor {key: key, tenant: $tenant, version: 1, recorded_us: $at})
"""
_ADD: Final[dict[str, LiteralString]] = {
    "AssetVersion": "UNWIND $rows AS row MATCH (a:Anchor {key: row.owner}) "
    "CREATE (a)-[:HELD]->(v:AssetVersion) SET v = row.props",
    "AliasAssignment": "UNWIND $rows AS row MATCH (a:Anchor {key: row.owner}) "
    "MATCH (b:Anchor {key: row.target}) "
    "CREATE (a)-[:HELD]->(v:AliasAssignment)-[:MEANS]->(b) SET v = row.props",
    "Relation": "UNWIND $rows AS row MATCH (a:Anchor {key: row.owner}) "
    "MATCH (b:Anchor {key: row.target}) "
    "CREATE (a)-[:HELD]->(v:Relation)-[:TO]->(b) SET v = row.props",
    "Configuration": "UNWIND $rows AS row MATCH (a:Anchor {key: row.owner}) "
    "CREATE (a)-[:HELD]->(v:Configuration) SET v = row.props",
    "Signal": "UNWIND $rows AS row MATCH (a:Anchor {key: row.owner}) "
    "CREATE (a)-[:HELD]->(v:Signal) SET v = row.props",
}
_STAMP: Final[LiteralString] = """
UNWIND $keys AS key
MATCH (a:Anchor {key: key})
SET a.recorded_us = $at
"""
_ANNOUNCE: Final[LiteralString] = "UNWIND $rows AS row CREATE (o:Outbox) SET o = row"


@dataclass(slots=True)
class _Loaded:
    """What one transaction knows before it decides."""

    records: dict[str, Record[Fact]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    recorded_us: int = 0

    def take_anchors(self, rows: Rows) -> None:
        for row in rows:
            self.versions[row["key"]] = row["version"]
            self.recorded_us = max(self.recorded_us, row["recorded_us"])

    def take(self, kind: Kind, rows: Rows) -> list[Record[Fact]]:
        records = [record_of(kind, row["v"]) for row in rows]
        self.records.update((record.version_id, record) for record in records)
        return records


class Neo4jAssetStore(Neo4jReads):
    """See `AssetStore`.

    An anchor node per asset, foreign name and address carries a version and the last recorded time;
    a write first increments the versions of its anchors, which makes the engine line writes up, and
    takes a recorded time later than any that its anchors know.

    Args:
        traceparent: Returns the trace context of the request in hand; empty when there is none.
    """

    def __init__(self, graph: Graph, clock: Clock, traceparent: Callable[[], str]) -> None:
        super().__init__(graph)
        self._clock = clock
        self._traceparent = traceparent
        self._last_recorded_us = 0

    async def write(
        self, tenant: Tenant, touch: Touch, decide: Callable[[Ledger], T], *, recorded_by: str
    ) -> T:
        """See `AssetStore.write`."""

        async def work(transaction: AsyncManagedTransaction) -> T:
            loaded = await _load(transaction, tenant, touch, lock=True)
            ledger = Ledger(
                tenant,
                loaded.records.values(),
                recorded_at_us=self._recorded_at_us(loaded.recorded_us),
                recorded_by=recorded_by,
            )
            outcome = decide(ledger)
            if ledger.added:
                await self._save(transaction, ledger, loaded.versions)
            return outcome

        return await self._graph.write(work)

    async def preview(
        self, tenant: Tenant, touch: Touch, decide: Callable[[Ledger], T], *, recorded_by: str
    ) -> T:
        """See `AssetStore.preview`."""

        async def work(transaction: AsyncManagedTransaction) -> _Loaded:
            return await _load(transaction, tenant, touch, lock=False)

        loaded = await self._graph.read_together(work)
        ledger = Ledger(
            tenant,
            loaded.records.values(),
            recorded_at_us=to_us(self._clock.wall_now()),
            recorded_by=recorded_by,
        )
        return decide(ledger)

    def _recorded_at_us(self, known_us: int) -> int:
        """Return a wall time later than any that these anchors, or this process, gave out."""
        wall_us = to_us(self._clock.wall_now())
        self._last_recorded_us = max(wall_us, known_us + 1, self._last_recorded_us + 1)
        return self._last_recorded_us

    async def _save(
        self, transaction: AsyncManagedTransaction, ledger: Ledger, versions: dict[str, int]
    ) -> None:
        tenant, at = ledger.tenant, ledger.recorded_at_us
        created = sorted(
            {
                record.fact.asset_id
                for record in ledger.added
                if isinstance(record.fact, AssetFact) and record.fact.asset_id not in versions
            }
        )
        if created:
            keys = [str(key) for key in created]
            await rows_of(transaction, _CREATE_ANCHORS, keys=keys, tenant=str(tenant), at=at)
            versions = versions | dict.fromkeys(keys, 1)
        _require_locked(ledger, versions)
        for label, closed in _by_label(ledger.closed).items():
            ids = [record.version_id for record in closed]
            await rows_of(transaction, _CLOSE[label], ids=ids, at=at)
        for label, added in _by_label(ledger.added).items():
            rows = [_row(tenant, record) for record in added]
            await rows_of(transaction, _ADD[label], rows=rows)
        await rows_of(transaction, _STAMP, keys=sorted(versions), at=at)
        announced = wire.outbox_rows(ledger, versions, traceparent=self._traceparent())
        await rows_of(transaction, _ANNOUNCE, rows=announced)


async def _load(
    transaction: AsyncManagedTransaction, tenant: Tenant, touch: Touch, *, lock: bool
) -> _Loaded:
    """Lock the anchors, names first, then assets, then addresses; then load what they hold."""
    loaded = _Loaded()

    async def locked(query: LiteralString, keys: Iterable[str]) -> None:
        if lock and (ordered := sorted(keys)):
            loaded.take_anchors(await rows_of(transaction, query, keys=ordered, tenant=str(tenant)))

    async def take(kind: Kind, query: LiteralString, keys: Iterable[str]) -> list[Record[Fact]]:
        ordered = sorted(keys)
        if not ordered:
            return []
        rows = await rows_of(transaction, query, keys=ordered, tenant=str(tenant), open=OPEN_US)
        return loaded.take(kind, rows)

    names = {_anchor(tenant, key) for key in touch.aliases}
    await locked(_LOCK_OR_CREATE, names)
    assigned = await take(ALIAS, _ALIASES, names)
    assets = {str(asset) for asset in touch.assets}
    assets |= {target for r in assigned if (target := ALIAS.points_to(r.fact)) is not None}
    await locked(_LOCK, assets)
    addresses = {address.anchor(tenant) for address in touch.addresses}
    await locked(_LOCK_OR_CREATE, addresses)
    await take(ASSET, _ASSETS, assets | {str(asset) for asset in touch.targets})
    for lane in sorted(touch.lanes):
        query, kind = _LANES[lane]
        await take(kind, query, assets)
    await take(SIGNAL, _SPEAKERS, addresses)
    return loaded


def _anchor(tenant: Tenant, key: AliasKey) -> str:
    return key.anchor(tenant)


def _by_label(records: Sequence[Record[Fact]]) -> dict[str, list[Record[Fact]]]:
    by_label: dict[str, list[Record[Fact]]] = defaultdict(list)
    for record in records:
        by_label[kind_of(record.fact).label].append(record)
    return by_label


def _row(tenant: Tenant, record: Record[Fact]) -> dict[str, Any]:
    kind = kind_of(record.fact)
    return {
        "owner": kind.owner(tenant, record.fact),
        "target": kind.points_to(record.fact),
        "props": props_of(tenant, record),
    }


def _require_locked(ledger: Ledger, versions: dict[str, int]) -> None:
    """Stop a write about something that its `Touch` did not name: a bug, not an input."""
    for record in ledger.added:
        owner = kind_of(record.fact).owner(ledger.tenant, record.fact)
        if owner not in versions:
            raise AssertionError(f"{type(record.fact).__name__} of {owner} is not locked")
