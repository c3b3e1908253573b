"""What charters promise, and what was achieved."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

MAX_METRIC: Final = 64


class Kind(StrEnum):
    """What is measured."""

    FRESHNESS = "FRESHNESS"
    """Share of plant time in which the inputs of a decision were within its budget."""
    COVERAGE = "COVERAGE"
    """Share of watched signals that are within the budget of a decision now."""
    VOLUME = "VOLUME"
    """Events published in the last day."""
    FIDELITY = "FIDELITY"
    """A metric that the service measures of itself."""


class Standing(StrEnum):
    """Where a promise stands."""

    KEPT = "KEPT"
    BREACHED = "BREACHED"
    UNMEASURED = "UNMEASURED"
    """There is nothing to hold it against yet."""
    UNPROMISED = "UNPROMISED"
    """It is measured, and the charter promises no figure."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A figure that a charter promises; without bounds it is only measured.

    Attributes:
        name: The decision, the metric, or `events`.
    """

    service: str
    kind: Kind
    name: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """What was achieved.

    Attributes:
        samples: Of how many signals, events or cases.
    """

    achieved: float
    samples: int


@dataclass(frozen=True, slots=True)
class Reality:
    """One promise and one tenant: what was promised, what was achieved, and since when it stands.

    Attributes:
        since: Wall time at which the standing began.
        turned_at: Wall time since which the measure speaks against the standing; None when it
            does not. Patience is counted from here.
        version: Number of standings so far.
    """

    tenant: str
    promise: Promise
    measure: Measure | None
    standing: Standing
    since: datetime
    turned_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class CharterTurned:
    """Fact: a promise is breached, or kept again.

    Attributes:
        at: Plant time of the tenant.
        team: Who owns the service; with contact and on_call, whom it has to reach.
    """

    reality: Reality
    at: datetime
    team: str
    contact: str
    on_call: str


@dataclass(frozen=True, slots=True)
class Told:
    """What telemetry says about a signal's freshness for a decision.

    Attributes:
        within: Whether its newest value is within the budget; None when that was not assessed.
        effective_at: Plant time from which on it holds.
    """

    tenant: str
    signal_id: str
    decision: str
    within: bool | None
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """What a service measured of itself.

    Attributes:
        samples: Of how many cases.
        at: Wall time.
    """

    tenant: str
    service: str
    metric: str
    value: float
    samples: int
    at: datetime

    def __post_init__(self) -> None:
        """Refuse figures that are none."""
        if not 0 < len(self.metric) <= MAX_METRIC or not 0 <= self.samples < 2**53:
            raise InvalidInputError(f"a metric has 1 to {MAX_METRIC} characters, and counts cases")
        if not abs(self.value) < float("inf"):
            raise InvalidInputError("a measured value is finite")
