"""Entities: assets, signals, and periods of an asset's life."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self

import strawberry
import strawberry.federation

from asset_registry.model import (
    AssetFact,
    ConfigurationFact,
    Lifecycle,
    Record,
    RelationFact,
    RelationKind,
    SignalFact,
    SignalKind,
    Window,
)
from asset_registry.subgraph.context import Context
from asset_registry.subgraph.values import (
    Alias,
    ConfigurationVersion,
    Validity,
    resolved,
)
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError
from twinmesh_sdk.core.ids import AssetId, SignalId
from twinmesh_sdk.core.times import MAX_TIME, MIN_TIME, ReadTime, format_time, parse_time
from twinmesh_sdk.graphql import Connection, bounded, decode_cursor, encode_cursor, paged

MAX_LIST: Final = 1000
"""Most entries of a list that is not paged."""

Info = strawberry.Info[Context, None]

KnownAt = Annotated[
    datetime | None,
    strawberry.argument(description="Wall time of the knowledge; null: the request's."),
]
AsOf = Annotated[
    datetime | None,
    strawberry.argument(description="Plant time asked about; null: the request's."),
]


def _listed(records: Sequence[Record[Any]], what: str) -> Sequence[Record[Any]]:
    if len(records) > MAX_LIST:
        raise LimitExceededError(
            f"more than {MAX_LIST} {what}", hint="ask about a shorter period, or a page"
        )
    return records


def _versions(records: Sequence[Record[ConfigurationFact]]) -> list[ConfigurationVersion]:
    return [ConfigurationVersion.of(r) for r in _listed(records, "configuration versions")]


@strawberry.type(description="One asset stands in a relation to another.")
class Relation:
    """See `RelationFact`. The other asset is loaded only when it is asked for."""

    kind: RelationKind = strawberry.field(description="What relates them.")
    validity: Validity = strawberry.field(description="When it held, and since when it is known.")
    fact: strawberry.Private[RelationFact]
    times: strawberry.Private[ReadTime]

    @resolved(name="from", description="The part, the content, the feeder, the sensor.")
    async def from_(self, info: Info) -> "Asset | None":
        """Load one end."""
        return await Asset.load(info.context, self.fact.from_asset_id, self.times)

    @resolved(description="The whole, the place, the fed, the measured.")
    async def to(self, info: Info) -> "Asset | None":
        """Load the other end."""
        return await Asset.load(info.context, self.fact.to_asset_id, self.times)


@strawberry.federation.type(
    keys=["id"], description="One measured quantity of an asset, and the source that speaks for it."
)
class Signal:
    """See `SignalFact`."""

    id: strawberry.ID = strawberry.field(description="The signal's id, `sig_` and a ULID.")
    record: strawberry.Private[Record[SignalFact]]
    times: strawberry.Private[ReadTime]

    @classmethod
    def of(cls, record: Record[SignalFact], times: ReadTime) -> Self:
        """Return the GraphQL value of a definition."""
        return cls(id=strawberry.ID(record.fact.signal_id), record=record, times=times)

    @classmethod
    async def resolve_reference(cls, info: Info, **key: Any) -> Self | None:  # noqa: ANN401 - a key
        """Load what another subgraph refers to, all of a request in one call."""
        times = info.context.times
        ask = (SignalId(str(key.get("id", ""))), Window.of(times))
        record = await info.context.signal_by_id.load(ask)
        return None if record is None else cls.of(record, times)

    @resolved(description="The signal's name on its asset, for example flow.")
    def name(self) -> str:
        """Return the name."""
        return self.record.fact.name

    @resolved(description="UCUM code of the SI unit that values are stored in.")
    def unit(self) -> str:
        """Return the stored unit."""
        return self.record.fact.unit

    @resolved(description="UCUM code of the unit that the source sends.")
    def source_unit(self) -> str:
        """Return the source's unit."""
        return self.record.fact.source_unit

    @resolved(description="Least physical value, in `unit`; null when unbounded.")
    def range_min(self) -> float | None:
        """Return the lower bound."""
        return self.record.fact.range_min

    @resolved(description="Largest physical value, in `unit`; null when unbounded.")
    def range_max(self) -> float | None:
        """Return the upper bound."""
        return self.record.fact.range_max

    @resolved(description="Expected time between readings, seconds.")
    def cadence_s(self) -> float:
        """Return the cadence."""
        return self.record.fact.cadence_s

    @resolved(description="The source that speaks for it.")
    def source(self) -> str:
        """Return the source."""
        return self.record.fact.address.source

    @resolved(description="The device's name at the source.")
    def device(self) -> str:
        """Return the device."""
        return self.record.fact.address.device

    @resolved(description="The signal's name on the device.")
    def source_signal(self) -> str:
        """Return the source's name for it."""
        return self.record.fact.address.source_signal

    @resolved(
        description="Zone of the source's stamps, IANA name or offset; empty when every stamp has "
        "its own."
    )
    def time_zone(self) -> str:
        """Return the zone."""
        return self.record.fact.time_zone

    @resolved(description="How its values relate in time.")
    def kind(self) -> SignalKind:
        """Return the kind."""
        return self.record.fact.kind

    @resolved(description="Repeats of one value that mean stuck; 0: never.")
    def stuck_after(self) -> int:
        """Return the tolerance."""
        return self.record.fact.stuck_after

    @resolved(description="When the definition held, and since when it is known.")
    def validity(self) -> Validity:
        """Return the bounds."""
        return Validity.of(self.record.interval)

    @resolved(description="The asset that it is a signal of.")
    async def asset(self, info: Info) -> "Asset | None":
        """Load the asset."""
        return await Asset.load(info.context, self.record.fact.asset_id, self.times)


@strawberry.federation.type(
    keys=["assetId from to"],
    description="A window of one asset's life, on which any domain can hang what it knows.",
)
class AssetPeriod:
    """Holds only its key; the fields load."""

    asset_id: strawberry.ID = strawberry.field(description="The asset.")
    from_: datetime = strawberry.field(name="from", description="Plant time, included.")
    to: datetime = strawberry.field(description="Plant time, excluded.")

    @classmethod
    def resolve_reference(cls, **key: Any) -> Self:  # noqa: ANN401 - a key of any form
        """Stand in for the period. Touches no store: the fields below do, in one batch."""
        start, end = parse_time(str(key.get("from", ""))), parse_time(str(key.get("to", "")))
        return cls.of(AssetId(str(key.get("assetId", ""))), start, end)

    @classmethod
    def of(cls, asset_id: AssetId, start: datetime, end: datetime) -> Self:
        """Return a period.

        Raises:
            InvalidInputError: It does not end after it starts.
        """
        if end <= start:
            raise InvalidInputError(
                f"a period must end after it starts, got {format_time(start)} to {format_time(end)}"
            )
        return cls(asset_id=strawberry.ID(asset_id), from_=start, to=end)

    @resolved(description="The asset as it stood at the end of the period.")
    async def asset(self, info: Info) -> "Asset | None":
        """Load the asset."""
        times = info.context.times
        window = Window.between(self.from_, self.to, times)
        asset_id = AssetId(str(self.asset_id))
        record = await info.context.assets.load((asset_id, window))
        return None if record is None else Asset.of(record, times)

    @resolved(
        description="The configuration versions active at any time in the period, by valid time."
    )
    async def configurations(
        self, info: Info, known_at: KnownAt = None
    ) -> list[ConfigurationVersion]:
        """Load the versions, those of all periods of a request in one call."""
        times = info.context.at(None, known_at)
        window = Window.between(self.from_, self.to, times)
        asset_id = AssetId(str(self.asset_id))
        return _versions(await info.context.configurations.load((asset_id, window)))


@strawberry.federation.type(
    keys=["id"], description="Something in the plant that has an identity: a pump, a meter, a hall."
)
class Asset:
    """See `AssetFact`. Carries the times that it was asked about to what is below it."""

    id: strawberry.ID = strawberry.field(description="The asset's id, `ast_` and a ULID.")
    record: strawberry.Private[Record[AssetFact]]
    times: strawberry.Private[ReadTime]

    @classmethod
    def of(cls, record: Record[AssetFact], times: ReadTime) -> Self:
        """Return the GraphQL value of an asset's version."""
        return cls(id=strawberry.ID(record.fact.asset_id), record=record, times=times)

    @classmethod
    async def load(cls, context: Context, asset_id: AssetId, times: ReadTime) -> Self | None:
        """Load an asset through the request's loader; None when there is none at that time."""
        record = await context.assets.load((asset_id, Window.of(times)))
        return None if record is None else cls.of(record, times)

    @classmethod
    async def resolve_reference(cls, info: Info, **key: Any) -> Self | None:  # noqa: ANN401 - a key
        """Load what another subgraph refers to, all of a request in one call."""
        return await cls.load(info.context, AssetId(str(key.get("id", ""))), info.context.times)

    @property
    def _id(self) -> AssetId:
        return self.record.fact.asset_id

    @resolved(description="What people call it.")
    def name(self) -> str:
        """Return the name."""
        return self.record.fact.name

    @resolved(description="ISO 14224 equipment class, or the plant's own: pump, building.")
    def asset_class(self) -> str:
        """Return the class."""
        return self.record.fact.asset_class

    @resolved(description="Where it stands between plan and scrap.")
    def lifecycle(self) -> Lifecycle:
        """Return the place in its life."""
        return self.record.fact.lifecycle

    @resolved(description="When this version held, and since when it is known.")
    def validity(self) -> Validity:
        """Return the bounds."""
        return Validity.of(self.record.interval)

    @resolved(description="What other systems call it, by system and name.")
    async def aliases(self, info: Info) -> list[Alias]:
        """Load the foreign names."""
        found = await info.context.aliases.load((self._id, Window.of(self.times)))
        return [Alias.of(record) for record in _listed(found, "aliases")]

    @resolved(
        description="Its relations to other assets, in both directions.", directives=[paged()]
    )
    async def relations(
        self,
        info: Info,
        kind: Annotated[
            RelationKind | None, strawberry.argument(description="Only these; null: all.")
        ] = None,
        first: Annotated[
            int | None, strawberry.argument(description="Entries per page, 1 to 200; null: 50.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Cursor of the entry before the page.")
        ] = None,
    ) -> Connection[Relation]:
        """Load the relations, a page of them."""
        size, start = bounded(first), decode_cursor(after, int)
        found = await info.context.relations.load((self._id, Window.of(self.times)))
        chosen = [(n, r) for n, r in enumerate(r for r in found if kind in (None, r.fact.kind))]
        begin = 0 if start is None else start[0] + 1
        page = [
            (
                n,
                Relation(
                    kind=record.fact.kind,
                    validity=Validity.of(record.interval),
                    fact=record.fact,
                    times=self.times,
                ),
            )
            for n, record in chosen[max(begin, 0) : max(begin, 0) + size + 1]
        ]
        positions = {id(relation): n for n, relation in page}
        return Connection[Relation].page(
            [relation for _, relation in page],
            lambda relation: encode_cursor(positions[id(relation)]),
            first=size,
        )

    @resolved(description="The configuration active at a time; null when none was.")
    async def configuration(
        self, info: Info, as_of: AsOf = None, known_at: KnownAt = None
    ) -> ConfigurationVersion | None:
        """Load the configuration."""
        window = Window.of(self.times.at(as_of=as_of, known_at=known_at))
        found = await info.context.configurations.load((self._id, window))
        return ConfigurationVersion.of(found[-1]) if found else None

    @resolved(description="The configuration versions active at any time from one time to another.")
    async def configurations(
        self,
        info: Info,
        from_: Annotated[
            datetime | None,
            strawberry.argument(
                name="from", description="Plant time, included; null: the beginning."
            ),
        ] = None,
        to: Annotated[
            datetime | None,
            strawberry.argument(description="Plant time, excluded; null: the end."),
        ] = None,
        known_at: KnownAt = None,
    ) -> list[ConfigurationVersion]:
        """Load the versions."""
        times = self.times.at(known_at=known_at)
        window = Window.between(from_ or MIN_TIME, to or MAX_TIME, times)
        return _versions(await info.context.configurations.load((self._id, window)))

    @resolved(description="What is measured on it, by name.")
    async def signals(
        self,
        info: Info,
        name: Annotated[
            str | None, strawberry.argument(description="Only the signal of this name; null: all.")
        ] = None,
    ) -> list[Signal]:
        """Load the signals."""
        found = await info.context.signals.load((self._id, Window.of(self.times)))
        chosen = [record for record in found if name in (None, record.fact.name)]
        return [Signal.of(record, self.times) for record in _listed(chosen, "signals")]

    @resolved(description="A window of its life, on which any domain hangs what it knows.")
    def period(
        self,
        from_: Annotated[
            datetime, strawberry.argument(name="from", description="Plant time, included.")
        ],
        to: Annotated[datetime, strawberry.argument(description="Plant time, excluded.")],
    ) -> AssetPeriod:
        """Return the period; it loads nothing yet."""
        return AssetPeriod.of(self._id, from_, to)
