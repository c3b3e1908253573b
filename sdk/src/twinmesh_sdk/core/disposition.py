"""What becomes of an event whose handling failed."""

from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.errors import ErrorCode


class Disposition(StrEnum):
    """What a consumer does with an event that it could not handle."""

    RETRY = "RETRY"  # later, unchanged, as often as it takes
    QUARANTINE = "QUARANTINE"  # aside, with the reason, to be replayed by hand


DISPOSITION: Final[dict[ErrorCode, Disposition]] = {
    ErrorCode.INVALID_INPUT: Disposition.QUARANTINE,
    ErrorCode.UNAUTHENTICATED: Disposition.RETRY,  # our own token, not the event, is at fault
    ErrorCode.FORBIDDEN: Disposition.QUARANTINE,
    ErrorCode.NOT_FOUND: Disposition.QUARANTINE,
    ErrorCode.CONFLICT: Disposition.RETRY,
    ErrorCode.PRECONDITION_FAILED: Disposition.QUARANTINE,
    ErrorCode.LIMIT_EXCEEDED: Disposition.RETRY,  # a peer is busy
    ErrorCode.DEADLINE_EXCEEDED: Disposition.RETRY,
    ErrorCode.UNAVAILABLE: Disposition.RETRY,
}
