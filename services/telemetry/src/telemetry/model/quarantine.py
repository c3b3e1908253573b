"""Readings that cannot be trusted, kept with the reason until their cause is removed."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.ids import derived_id


class Reason(StrEnum):
    """Why a reading is in quarantine."""

    MALFORMED = "MALFORMED"  # the payload is not what the door documents
    NOT_A_NUMBER = "NOT_A_NUMBER"  # NaN, infinite, or no number at all
    BAD_TIME = "BAD_TIME"  # no stamp, or one that cannot be read
    NO_ZONE = "NO_ZONE"  # a zone-less stamp of a signal without a declared zone
    FUTURE = "FUTURE"  # stamped later than the plant's clock allows
    TOO_OLD = "TOO_OLD"  # stamped earlier than any plausible history
    UNKNOWN_DEVICE = "UNKNOWN_DEVICE"  # the source has no such device at that time
    UNKNOWN_SIGNAL = "UNKNOWN_SIGNAL"  # the device has no such signal at that time
    UNKNOWN_UNIT = "UNKNOWN_UNIT"  # the declared unit cannot be brought to the stored one


UNRESOLVED: Final = (Reason.UNKNOWN_DEVICE, Reason.UNKNOWN_SIGNAL)
"""Reasons that end by themselves when the registry learns the name."""


class QuarantineStatus(StrEnum):
    """Where a quarantined reading stands."""

    QUARANTINED = "QUARANTINED"
    REPLAYING = "REPLAYING"
    REPLAYED = "REPLAYED"


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """One quarantined payload; `readings` is how many readings it holds.

    A single message is one row. Of a batch, each refused reading is a row, and all readings of one
    unknown name are one row together, for one definition releases them all. `ordinal` is its place
    in the store's order; 0 before it is stored.
    """

    quarantine_id: str
    tenant: str
    source: str
    name: str
    reason: Reason
    detail: str
    payload: bytes
    payload_format: str
    headers: dict[str, str] = field(default_factory=dict)
    arrived_at: datetime | None = None
    observed_us: int | None = None
    readings: int = 1
    raw_seq: int = 0
    raw_ix: int = 0
    status: QuarantineStatus = QuarantineStatus.QUARANTINED
    ordinal: int = 0


def quarantine_id(epoch: int, raw_seq: int, raw_ix: int) -> str:
    """Return the id of what stands at one place of the raw stream, equal after any restart."""
    return derived_id("qua", epoch, raw_seq, raw_ix)
