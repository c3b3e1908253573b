"""How long what is kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

MAX_REASON: Final = 2000


class DataClass(StrEnum):
    """What is kept: the names that charters, stores and persons use."""

    READINGS = "readings"
    """Readings as measured, counted from when they were recorded."""
    READINGS_HOURLY = "readings-hourly"
    """Hours of readings, counted from when they were last made."""
    EVENTS = "events"
    """Domain events on the bus."""
    QUARANTINE = "quarantine"
    """Events that a consumer could not take."""


BOUNDS_DAYS: Final = {
    DataClass.READINGS: (1.0, 36_500.0),
    DataClass.READINGS_HOURLY: (1.0, 36_500.0),
    # Consumers remember handled events for 45 days: an older one might be handled twice.
    DataClass.EVENTS: (1.0, 44.0),
    DataClass.QUARANTINE: (1.0, 365.0),
}
"""Least and most days that each may be kept."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long one class of data is kept, in wall time.

    Attributes:
        keep_days: At least and at most so long; what is older goes.
    """

    data_class: DataClass
    keep_days: float
    reason: str
    set_by: str
    set_at: datetime

    def __post_init__(self) -> None:
        """Refuse what would lose data by a slip, or break a promise of the mesh."""
        low, high = BOUNDS_DAYS[self.data_class]
        if not low <= self.keep_days <= high:
            raise InvalidInputError(
                f"{self.data_class.value} are kept from {low:g} to {high:g} days"
            )
        if not self.reason.strip() or len(self.reason) > MAX_REASON:
            raise InvalidInputError(f"a reason has 1 to {MAX_REASON} characters")
