"""Value types: what has no life of its own."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar, cast

import strawberry
from strawberry.scalars import JSON

from asset_registry.model import (
    AliasFact,
    ConfigurationFact,
    Interval,
    Lifecycle,
    Record,
    RelationKind,
    SignalKind,
)
from twinmesh_sdk.core.times import OPEN_US, from_us

R = TypeVar("R", bound=Callable[..., Any])


def resolved(
    description: str, *, name: str | None = None, directives: Sequence[object] = ()
) -> Callable[[R], R]:
    """Make a method a field: `strawberry.field`, with the method's type kept."""
    made = strawberry.field(description=description, name=name, directives=directives)
    return cast("Callable[[R], R]", made)


LifecycleType = strawberry.enum(
    Lifecycle, name="Lifecycle", description="Where an asset stands between plan and scrap."
)
RelationKindType = strawberry.enum(
    RelationKind,
    name="RelationKind",
    description="How one asset relates to another. A part has one whole, and a thing one place, "
    "at a time.",
)
SignalKindType = strawberry.enum(
    SignalKind,
    name="SignalKind",
    description="How a signal's values relate in time: momentary values, a running total, a state.",
)


def open_end(us: int) -> datetime | None:
    """Return an end; None when it is open."""
    return None if us >= OPEN_US else from_us(us)


@strawberry.type(description="When a fact held in the plant, and when we held it true.")
class Validity:
    """Four bounds of an interval; starts are included, ends are not."""

    valid_from: datetime = strawberry.field(description="Plant time from which it held.")
    valid_to: datetime | None = strawberry.field(
        description="Plant time until which it held; null while it is open."
    )
    recorded_at: datetime = strawberry.field(
        description="Wall time at which it became known; usable as `knownAt`."
    )
    recorded_to: datetime | None = strawberry.field(
        description="Wall time at which it was corrected; null while it holds."
    )

    @classmethod
    def of(cls, interval: Interval) -> Self:
        """Return the GraphQL value of an interval."""
        return cls(
            valid_from=from_us(interval.valid_from_us),
            valid_to=open_end(interval.valid_to_us),
            recorded_at=from_us(interval.recorded_from_us),
            recorded_to=open_end(interval.recorded_to_us),
        )


@strawberry.type(description="What a naming system calls an asset.")
class Alias:
    """See `AliasFact`."""

    system: str = strawberry.field(description="The naming system, for example cmms.")
    value: str = strawberry.field(description="The name there.")
    authority: str = strawberry.field(description="Who vouches for it; empty when nobody said.")
    confidence_ratio: float = strawberry.field(description="How sure they are, 0 to 1.")
    validity: Validity = strawberry.field(description="When it held, and since when it is known.")

    @classmethod
    def of(cls, record: Record[AliasFact]) -> Self:
        """Return the GraphQL value of a foreign name."""
        fact = record.fact
        return cls(
            system=fact.key.system,
            value=fact.key.value,
            authority=fact.authority,
            confidence_ratio=fact.confidence_ratio,
            validity=Validity.of(record.interval),
        )


@strawberry.type(
    description="How an asset was configured from one time to another: components, firmware, "
    "calibration, operating limits."
)
class ConfigurationVersion:
    """See `ConfigurationFact`."""

    id: strawberry.ID = strawberry.field(description="The version's id, `cfg_` and a ULID.")
    label: str = strawberry.field(description="The plant's word for it.")
    attributes: JSON = strawberry.field(
        description="What was configured, as a JSON object; each name says its unit."
    )
    recorded_by: str = strawberry.field(description="Who entered it: the subject of their token.")
    valid_from: datetime = strawberry.field(description="Plant time from which it was active.")
    valid_to: datetime | None = strawberry.field(
        description="Plant time until which it was active; null while it is."
    )
    recorded_at: datetime = strawberry.field(
        description="Wall time at which this became known; usable as `knownAt`."
    )
    recorded_to: datetime | None = strawberry.field(
        description="Wall time at which this was corrected; null while it holds."
    )

    @classmethod
    def of(cls, record: Record[ConfigurationFact]) -> Self:
        """Return the GraphQL value of a configuration version."""
        fact, interval = record.fact, record.interval
        return cls(
            id=strawberry.ID(fact.configuration_id),
            label=fact.label,
            attributes=json.loads(fact.attributes_json),
            recorded_by=record.recorded_by,
            valid_from=from_us(interval.valid_from_us),
            valid_to=open_end(interval.valid_to_us),
            recorded_at=from_us(interval.recorded_from_us),
            recorded_to=open_end(interval.recorded_to_us),
        )
