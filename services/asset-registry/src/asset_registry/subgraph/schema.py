"""The root fields, and the schema."""

from typing import Annotated

import strawberry

from asset_registry.model import AliasKey, Lifecycle, Window
from asset_registry.ports import AssetFilter
from asset_registry.subgraph.context import Context
from asset_registry.subgraph.entities import AsOf, Asset, AssetPeriod, Info, KnownAt, Signal
from asset_registry.subgraph.values import resolved
from twinmesh_sdk.core.errors import InvalidInputError, PreconditionFailedError
from twinmesh_sdk.core.ids import AssetId
from twinmesh_sdk.graphql import (
    Connection,
    bounded,
    decode_cursor,
    encode_cursor,
    paged,
    subgraph_schema,
)

MAX_FILTER_CHARS = 200


@strawberry.input(name="AssetFilter", description="Which assets to list; null does not restrict.")
class AssetFilterInput:
    """See `AssetFilter`."""

    asset_class: str | None = strawberry.field(default=None, description="Only of this class.")
    lifecycle: Lifecycle | None = strawberry.field(
        default=None, description="Only in this place of their life."
    )
    name_contains: str | None = strawberry.field(
        default=None, description="Only with this in their name; upper and lower case are alike."
    )

    def to_model(self) -> AssetFilter:
        """Return the filter.

        Raises:
            InvalidInputError: A text is too long.
        """
        for text in (self.asset_class, self.name_contains):
            if text is not None and len(text) > MAX_FILTER_CHARS:
                raise InvalidInputError(f"a filter takes at most {MAX_FILTER_CHARS} characters")
        return AssetFilter(self.asset_class, self.lifecycle, self.name_contains)


def _after(text: str | None) -> AssetId | None:
    parts = decode_cursor(text, str)
    return None if parts is None else AssetId(parts[0])


@strawberry.type
class Query:
    """What the registry can be asked."""

    @resolved(description="One asset by its id; null when there is none.")
    async def asset(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="`ast_` and a ULID.")],
        as_of: AsOf = None,
        known_at: KnownAt = None,
    ) -> Asset | None:
        """Load one asset."""
        context: Context = info.context
        return await Asset.load(context, AssetId(str(id)), context.at(as_of, known_at))

    @resolved(
        description="The asset that a naming system's word means at a time; null when it means "
        "none, and an error when it has several candidates."
    )
    async def asset_by_alias(
        self,
        info: Info,
        system: Annotated[
            str, strawberry.argument(description="The naming system, for example cmms.")
        ],
        value: Annotated[str, strawberry.argument(description="The name there.")],
        as_of: AsOf = None,
        known_at: KnownAt = None,
    ) -> Asset | None:
        """Resolve a foreign name."""
        context: Context = info.context
        times = context.at(as_of, known_at)
        found = await context.names.load((AliasKey(system, value), Window.of(times)))
        if len(found) > 1:
            raise PreconditionFailedError(
                f"{value!r} in {system} may mean {len(found)} assets",
                hint="end the wrong assignments first, or ask by id",
            )
        return await Asset.load(context, found[0].fact.asset_id, times) if found else None

    @resolved(description="Assets by id, a page at a time.", directives=[paged()])
    async def assets(  # noqa: PLR0917 - GraphQL passes arguments by name
        self,
        info: Info,
        filter: Annotated[
            AssetFilterInput | None, strawberry.argument(description="Null: all assets.")
        ] = None,
        first: Annotated[
            int | None, strawberry.argument(description="Entries per page, 1 to 200; null: 50.")
        ] = None,
        after: Annotated[
            str | None, strawberry.argument(description="Cursor of the entry before the page.")
        ] = None,
        as_of: AsOf = None,
        known_at: KnownAt = None,
    ) -> Connection[Asset]:
        """Load a page of assets."""
        context: Context = info.context
        size, times = bounded(first), context.at(as_of, known_at)
        records = await context.store.asset_page(
            context.tenant,
            filter.to_model() if filter else AssetFilter(),
            Window.of(times),
            after=_after(after),
            limit=size + 1,
        )
        return Connection[Asset].page(
            [Asset.of(record, times) for record in records],
            lambda asset: encode_cursor(str(asset.id)),
            first=size,
        )


SCHEMA = subgraph_schema(Query, types=[Asset, AssetPeriod, Signal])

__all__ = ["SCHEMA", "Query"]
