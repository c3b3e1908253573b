"""Charter against reality in the graph."""

from datetime import datetime
from typing import Self

import strawberry

from governance.model.reality import Kind, Reality, Standing

KindType = strawberry.enum(
    Kind, name="CharterMeasure", description="What is measured of a charter."
)
StandingType = strawberry.enum(
    Standing, name="CharterStanding", description="Where a charter's promise stands."
)


@strawberry.type(name="CharterReality", description="What a charter promises, what was achieved.")
class RealityType:
    """See `Reality`."""

    kind: Kind = strawberry.field(description="What is measured.")
    name: str = strawberry.field(description="The decision, the metric, or `events`.")
    at_least: float | None = strawberry.field(
        description="Lower bound of the promise, in the measure's own unit; null when none."
    )
    at_most: float | None = strawberry.field(
        description="Upper bound of the promise, in the measure's own unit; null when none."
    )
    achieved: float | None = strawberry.field(
        description="What was achieved, in the measure's own unit; null when not measured."
    )
    samples: int = strawberry.field(description="Of how many signals, events or cases.")
    standing: Standing = strawberry.field(description="Where the promise stands.")
    since: datetime = strawberry.field(description="Wall time at which the standing began.")

    @classmethod
    def of(cls, given: Reality) -> Self:
        """Return the graph's view of a standing."""
        promise, measure = given.promise, given.measure
        return cls(
            kind=promise.kind,
            name=promise.name,
            at_least=promise.at_least,
            at_most=promise.at_most,
            achieved=measure.achieved if measure else None,
            samples=measure.samples if measure else 0,
            standing=given.standing,
            since=given.since,
        )
