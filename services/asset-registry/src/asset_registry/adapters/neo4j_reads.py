"""Reads of the asset graph: one query per call, however many things it asks about."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from asset_registry.adapters.neo4j_graph import Graph, Rows
from asset_registry.adapters.neo4j_rows import (
    ALIAS,
    ASSET,
    CONFIGURATION,
    RELATION,
    SIGNAL,
    Kind,
    record_of,
)
from asset_registry.model import (
    AliasFact,
    AliasKey,
    AssetFact,
    ConfigurationFact,
    Record,
    RelationFact,
    RelationKind,
    SignalFact,
    Window,
)
from asset_registry.ports import AssetFilter, SignalFilter
from twinmesh_sdk.core.errors import LimitExceededError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant

MAX_ROWS: Final = 50_000
"""Most records that one read returns."""

_SHOWN: Final[LiteralString] = """
WHERE v.tenant = $tenant
  AND v.valid_from_us < row.to_us AND v.valid_to_us > row.from_us
  AND v.recorded_from_us <= row.known_us AND v.recorded_to_us > row.known_us
RETURN row.i AS i, v LIMIT $limit
"""
_ASSETS: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:AssetVersion {owner: row.key})" + _SHOWN
)
_CANDIDATES: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:AliasAssignment {owner: row.key})" + _SHOWN
)
_ALIASES: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:AliasAssignment {asset_id: row.key})" + _SHOWN
)
_RELATIONS_FROM: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:Relation {owner: row.key})" + _SHOWN
)
_RELATIONS_TO: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:Relation {to_asset_id: row.key})" + _SHOWN
)
_CONFIGURATIONS: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:Configuration {owner: row.key})" + _SHOWN
)
_SIGNALS: Final[LiteralString] = "UNWIND $rows AS row MATCH (v:Signal {owner: row.key})" + _SHOWN
_SIGNALS_BY_ID: Final[LiteralString] = (
    "UNWIND $rows AS row MATCH (v:Signal {signal_id: row.key})" + _SHOWN
)
_ASSET_PAGE: Final[LiteralString] = """
MATCH (v:AssetVersion {tenant: $tenant})
WHERE v.valid_from_us < $to_us AND v.valid_to_us > $from_us
  AND v.recorded_from_us <= $known_us AND v.recorded_to_us > $known_us
  AND v.owner > $after
  AND ($asset_class = '' OR v.asset_class = $asset_class)
  AND ($lifecycle = '' OR v.lifecycle = $lifecycle)
  AND ($name_contains = '' OR toLower(v.name) CONTAINS $name_contains)
RETURN v ORDER BY v.owner LIMIT $limit
"""
_SIGNAL_SHOWN: Final[LiteralString] = """
WHERE v.tenant = $tenant
  AND v.valid_from_us < $to_us AND v.valid_to_us > $from_us
  AND v.recorded_from_us <= $known_us AND v.recorded_to_us > $known_us
  AND v.signal_id > $after
  AND ($source = '' OR v.source = $source)
  AND (size($assets) = 0 OR v.owner IN $assets)
RETURN v ORDER BY v.signal_id LIMIT $limit
"""
_SIGNAL_PAGE_OF_IDS: Final[LiteralString] = (
    "UNWIND $signals AS id MATCH (v:Signal {signal_id: id})" + _SIGNAL_SHOWN
)
_SIGNAL_PAGE_OF_ASSETS: Final[LiteralString] = (
    "UNWIND $assets AS id MATCH (v:Signal {owner: id})" + _SIGNAL_SHOWN
)
_SIGNAL_PAGE_OF_TENANT: Final[LiteralString] = "MATCH (v:Signal {tenant: $tenant})" + _SIGNAL_SHOWN
_SIGNAL_PAGE_OF_SOURCE: Final[LiteralString] = "MATCH (v:Signal {source: $source})" + _SIGNAL_SHOWN


class Neo4jReads:
    """The reading half of `AssetStore`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def assets(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[Record[AssetFact] | None]:
        """See `AssetStore.assets`."""
        return [_last(found) for found in await self._ask(ASSET, _ASSETS, tenant, asks)]

    async def candidates(
        self, tenant: Tenant, asks: Sequence[tuple[AliasKey, Window]]
    ) -> list[tuple[Record[AliasFact], ...]]:
        """See `AssetStore.candidates`."""
        keyed = [(key.anchor(tenant), window) for key, window in asks]
        return await self._ask(ALIAS, _CANDIDATES, tenant, keyed)

    async def aliases(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[AliasFact], ...]]:
        """See `AssetStore.aliases`."""
        answers = await self._ask(ALIAS, _ALIASES, tenant, asks)
        return [
            tuple(sorted(found, key=lambda r: (r.fact.key.system, r.fact.key.value)))
            for found in answers
        ]

    async def relations(
        self,
        tenant: Tenant,
        asks: Sequence[tuple[AssetId, Window]],
        *,
        kind: RelationKind | None = None,
    ) -> list[tuple[Record[RelationFact], ...]]:
        """See `AssetStore.relations`."""
        outward = await self._ask(RELATION, _RELATIONS_FROM, tenant, asks)
        inward = await self._ask(RELATION, _RELATIONS_TO, tenant, asks)
        return [
            tuple(
                sorted(
                    (r for r in (*away, *here) if kind is None or r.fact.kind is kind),
                    key=lambda r: (r.fact.kind, r.fact.from_asset_id, r.fact.to_asset_id),
                )
            )
            for away, here in zip(outward, inward, strict=True)
        ]

    async def configurations(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[ConfigurationFact], ...]]:
        """See `AssetStore.configurations`."""
        return await self._ask(CONFIGURATION, _CONFIGURATIONS, tenant, asks)

    async def signals(
        self, tenant: Tenant, asks: Sequence[tuple[AssetId, Window]]
    ) -> list[tuple[Record[SignalFact], ...]]:
        """See `AssetStore.signals`."""
        answers = await self._ask(SIGNAL, _SIGNALS, tenant, asks)
        return [tuple(sorted(found, key=lambda r: r.fact.name)) for found in answers]

    async def signals_by_id(
        self, tenant: Tenant, asks: Sequence[tuple[SignalId, Window]]
    ) -> list[Record[SignalFact] | None]:
        """See `AssetStore.signals_by_id`."""
        return [_last(found) for found in await self._ask(SIGNAL, _SIGNALS_BY_ID, tenant, asks)]

    async def asset_page(
        self,
        tenant: Tenant,
        which: AssetFilter,
        window: Window,
        *,
        after: AssetId | None,
        limit: int,
    ) -> list[Record[AssetFact]]:
        """See `AssetStore.asset_page`."""
        rows = await self._graph.read(
            _ASSET_PAGE,
            tenant=str(tenant),
            **_times(window),
            after=str(after or ""),
            asset_class=which.asset_class or "",
            lifecycle=str(which.lifecycle or ""),
            name_contains=(which.name_contains or "").lower(),
            limit=limit,
        )
        return [record_of(ASSET, row["v"]) for row in rows]

    async def signal_page(
        self,
        tenant: Tenant,
        which: SignalFilter,
        window: Window,
        *,
        after: SignalId | None,
        limit: int,
    ) -> list[Record[SignalFact]]:
        """See `AssetStore.signal_page`."""
        query = _SIGNAL_PAGE_OF_SOURCE if which.source else _SIGNAL_PAGE_OF_TENANT
        if which.assets:
            query = _SIGNAL_PAGE_OF_ASSETS
        if which.signals:
            query = _SIGNAL_PAGE_OF_IDS
        rows = await self._graph.read(
            query,
            tenant=str(tenant),
            **_times(window),
            after=str(after or ""),
            source=str(which.source or ""),
            assets=sorted({str(asset) for asset in which.assets}),
            signals=sorted({str(signal) for signal in which.signals}),
            limit=limit,
        )
        return [record_of(SIGNAL, row["v"]) for row in rows]

    async def _ask(
        self,
        kind: Kind,
        query: LiteralString,
        tenant: Tenant,
        asks: Sequence[tuple[str, Window]],
    ) -> list[tuple[Record[Any], ...]]:
        """Answer each (key, window) with its records by valid time.

        Raises:
            LimitExceededError: The answers hold more records than one read returns.
        """
        if not asks:
            return []
        rows = await self._graph.read(
            query,
            rows=[
                {"i": i, "key": str(key)} | _times(window) for i, (key, window) in enumerate(asks)
            ],
            tenant=str(tenant),
            limit=MAX_ROWS + 1,
        )
        if len(rows) > MAX_ROWS:
            raise LimitExceededError(
                f"the answer holds more than {MAX_ROWS} records", hint="ask about fewer things"
            )
        return _grouped(kind, rows, len(asks))


def _times(window: Window) -> dict[str, int]:
    return {"from_us": window.from_us, "to_us": window.to_us, "known_us": window.known_at_us}


def _grouped(kind: Kind, rows: Rows, count: int) -> list[tuple[Record[Any], ...]]:
    found: list[list[Record[Any]]] = [[] for _ in range(count)]
    for row in rows:
        found[row["i"]].append(record_of(kind, row["v"]))
    return [
        tuple(sorted(records, key=lambda r: (r.interval.valid_from_us, r.version_id)))
        for records in found
    ]


def _last(records: tuple[Record[Any], ...]) -> Record[Any] | None:
    return records[-1] if records else None
