"""What every subgraph shares: scalars, value types, bounded connections, one way to make a schema.

Write resolvers over a `DataLoader` kept in the request's context, so a hundred entities cost one
store call: the host builds a new context for every request.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final, Generic, NewType, Self, TypeVar, cast

import strawberry
import strawberry.federation
from strawberry.federation.schema_directives import ListSize
from strawberry.schema.config import StrawberryConfig
from strawberry.types.scalar import ScalarDefinition

from twinmesh_sdk.core import trust as core
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.times import format_time, parse_time

DEFAULT_FIRST: Final = 50
MAX_FIRST: Final = 200
MAX_CURSOR_CHARS: Final = 512

T = TypeVar("T")
R = TypeVar("R", bound=Callable[..., Any])

Int64 = NewType("Int64", int)
"""A whole number beyond 32 bits: counts of readings."""


def _parse_datetime(value: object) -> datetime:
    if not isinstance(value, str):
        raise InvalidInputError("a DateTime is RFC 3339 text, for example 2026-01-31T08:00:00Z")
    return parse_time(value)


def _parse_int64(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise InvalidInputError("an Int64 is a whole number of at most 64 bits")
    return value


_SCALARS: Final[dict[object, ScalarDefinition]] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339, UTC, microseconds: `2026-01-31T08:00:00.000000Z`. Any zone is read.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=format_time,
        parse_value=_parse_datetime,
    ),
    Int64: strawberry.scalar(
        name="Int64",
        description="A whole number of at most 64 bits.",
        serialize=int,
        parse_value=_parse_int64,
    ),
}

Verdict = strawberry.enum(
    core.Verdict,
    name="Verdict",
    description="Freshness against a named budget, judged by the clock.",
)
Quality = strawberry.enum(
    core.Quality, name="Quality", description="OPC UA severity of a value's status code."
)


@strawberry.federation.type(
    shareable=True, description="One reason why a value is trusted less than it could be."
)
class Reason:
    """See `twinmesh_sdk.core.trust.Reason`."""

    code: str = strawberry.field(description="For example STALE_INPUT, MISSING_CONTEXT.")
    subject: str = strawberry.field(description="What it is about: a signal, an input, a mode.")
    detail: str = strawberry.field(description="One sentence for a person.")


@strawberry.federation.type(
    shareable=True, description="How far a value can be trusted for one decision."
)
class Trust:
    """See `twinmesh_sdk.core.trust.Trust`. Make it with `of`, which also tells the answer's sum."""

    verdict: core.Verdict = strawberry.field(description="Freshness against the budget.")
    quality: core.Quality = strawberry.field(description="OPC UA severity.")
    status_code: Int64 = strawberry.field(description="Full OPC UA status code.")
    observed_at: datetime | None = strawberry.field(
        description="Plant time at the source; null when never seen."
    )
    arrived_at: datetime | None = strawberry.field(description="Plant time at our door.")
    decision: str = strawberry.field(description="Whose budget was applied; empty for none.")
    budget_s: float | None = strawberry.field(description="The budget, seconds.")
    age_s: float | None = strawberry.field(description="Age at the request's `now`, seconds.")
    configuration_version: str = strawberry.field(
        description="Configuration version active when it was observed."
    )
    model_version: str = strawberry.field(
        description="Model version that derived it; empty for a measurement."
    )
    reasons: list[Reason] = strawberry.field(description="Why it is not trusted more.")

    @classmethod
    def of(cls, trust: core.Trust) -> Self:
        """Return the GraphQL value of a trust, and count it in the answer's worst."""
        if (collected := _collected.get()) is not None:
            collected.add(trust)
        return cls(
            verdict=trust.verdict,
            quality=trust.quality,
            status_code=Int64(trust.status_code),
            observed_at=trust.observed_at,
            arrived_at=trust.arrived_at,
            decision=trust.decision,
            budget_s=trust.budget_s,
            age_s=trust.age_s,
            configuration_version=trust.configuration_version,
            model_version=trust.model_version,
            reasons=[
                Reason(code=r.code, subject=r.subject, detail=r.detail) for r in trust.reasons
            ],
        )


class CollectedTrust:
    """The worst of the trusts that one answer carries.

    Attributes:
        worst: None while the answer carries none.
        count: How many it carries.
    """

    def __init__(self) -> None:
        self.worst: core.Trust | None = None
        self.count = 0

    def add(self, trust: core.Trust) -> None:
        """Take one into account."""
        self.count += 1
        if self.worst is None or core.worst_rank(trust) > core.worst_rank(self.worst):
            self.worst = trust

    def as_extension(self) -> dict[str, object] | None:
        """Return `{"trust": …, "count": n}`; None when the answer carries none."""
        if self.worst is None:
            return None
        worst = self.worst
        return {
            "trust": {
                "verdict": worst.verdict.value,
                "quality": worst.quality.name,
                "statusCode": worst.status_code,
                "observedAt": worst.observed_at and format_time(worst.observed_at),
                "decision": worst.decision,
                "budgetS": worst.budget_s,
                "ageS": worst.age_s,
                "configurationVersion": worst.configuration_version,
                "modelVersion": worst.model_version,
                "reasons": [
                    {"code": r.code, "subject": r.subject, "detail": r.detail}
                    for r in worst.reasons
                ],
            },
            "count": self.count,
        }


_collected: ContextVar[CollectedTrust | None] = ContextVar("collected_trust", default=None)


def collect_trust() -> CollectedTrust:
    """Begin to collect the trusts of the answer in hand; the host calls it once per request."""
    collected = CollectedTrust()
    _collected.set(collected)
    return collected


@strawberry.federation.type(shareable=True, description="Where a page of a connection stands.")
class PageInfo:
    """Forward paging only: pass `endCursor` as `after` while `hasNextPage`."""

    has_next_page: bool = strawberry.field(description="Whether more follows.")
    end_cursor: str | None = strawberry.field(
        description="Pass it as `after` for the next page; null when the page is empty."
    )


@strawberry.type(description="One entry of a page.")
class Edge(Generic[T]):
    """An entry and where it stands."""

    node: T
    cursor: str = strawberry.field(description="Position of this entry, opaque.")


@strawberry.type(description="One page of a longer list.")
class Connection(Generic[T]):
    """A page. `Connection[WorkItem]` is called `WorkItemConnection` in the schema."""

    edges: list[Edge[T]] = strawberry.field(description="The entries with their positions.")
    page_info: PageInfo

    @strawberry.field(description="The entries.")  # type: ignore[untyped-decorator]  # generic class
    def nodes(self) -> list[T]:
        """Return the entries without their positions."""
        return [edge.node for edge in self.edges]

    @classmethod
    def page(cls, rows: Sequence[T], cursor_of: Callable[[T], str], *, first: int) -> Self:
        """Make a page of rows of which one more than `first` were asked of the store.

        Args:
            rows: At most `first + 1`; the extra one only tells that more follows.
            cursor_of: Returns a row's cursor, see `encode_cursor`.
        """
        edges = [Edge(node=row, cursor=cursor_of(row)) for row in rows[:first]]
        end = edges[-1].cursor if edges else None
        return cls(edges=edges, page_info=PageInfo(has_next_page=len(rows) > first, end_cursor=end))


def bounded(first: int | None, *, default: int = DEFAULT_FIRST, maximum: int = MAX_FIRST) -> int:
    """Return how many entries to answer.

    Raises:
        InvalidInputError: `first` is not between 1 and `maximum`.
    """
    wanted = default if first is None else first
    if not 1 <= wanted <= maximum:
        raise InvalidInputError(f"first must be between 1 and {maximum}, got {wanted}")
    return wanted


def encode_cursor(*parts: str | int) -> str:
    """Return an opaque cursor that `decode_cursor` reads."""
    raw = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_cursor(text: str | None, *kinds: type[str] | type[int]) -> tuple[Any, ...] | None:
    """Return a cursor's parts; None for None.

    Args:
        kinds: The type of each part.

    Raises:
        InvalidInputError: It is not a cursor of this list.
    """
    if text is None:
        return None
    fault = InvalidInputError("after is not a cursor of this list", hint="pass pageInfo.endCursor")
    if len(text) > MAX_CURSOR_CHARS:
        raise fault
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise fault from error
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise fault
    return tuple(parts)


def subgraph_schema(
    query: type | None = None,
    *,
    types: Iterable[type] = (),
    mutation: type | None = None,
    subscription: type | None = None,
    directives: Iterable[type] = (),
) -> strawberry.federation.Schema:
    """Return a federation schema with the mesh's scalars: `datetime` is `DateTime`.

    Args:
        query: The subgraph's root fields; None for a subgraph that only adds fields to entities.
        types: Entities that no root field returns, such as the `Asset` that a domain extends.
        subscription: Root fields that are async generators; the host answers them as
            server-sent events. Feed them from `TwinService.event_feed`.
        directives: Schema directives of the subgraph's own, such as composed ones.
    """
    return strawberry.federation.Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=list(types),
        schema_directives=list(directives),
        config=StrawberryConfig(scalar_map=_SCALARS, disable_field_suggestions=False),
    )


def paged(default: int = DEFAULT_FIRST, *, lists: Sequence[str] = ("edges", "nodes")) -> ListSize:
    """Return the directive of a field whose `first` says how long the lists in its page are.

    Routers estimate by it what a query costs: `directives=[paged()]`.

    Args:
        default: Entries of a page without `first`.
        lists: The lists in it.
    """
    return ListSize(
        assumed_size=default,
        slicing_arguments=["first"],
        sized_fields=list(lists),
        require_one_slicing_argument=False,
    )


def event_field(description: str) -> Callable[[R], R]:
    """Make an async generator a subscription: `strawberry.subscription`, its type kept."""
    return cast("Callable[[R], R]", strawberry.subscription(description=description))


def sdl_of(schema: strawberry.federation.Schema) -> str:
    """Return the text that `contract/schema.graphql` holds; a service's test compares the two."""
    return schema.as_str().rstrip() + "\n"
