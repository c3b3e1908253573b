"""What the interface answers when it refuses, with ClickHouse's own error codes."""

from dataclasses import dataclass
from typing import Final

SYNTAX_ERROR: Final = 62
UNKNOWN_SETTING: Final = 115
TOO_MANY_QUERIES: Final = 202
SUPPORT_IS_DISABLED: Final = 344
READONLY: Final = 164
SETTING_CONSTRAINT_VIOLATION: Final = 452
ACCESS_DENIED: Final = 497
AUTHENTICATION_FAILED: Final = 516
BAD_ARGUMENTS: Final = 36
LIMIT_EXCEEDED: Final = 290
CANNOT_DECOMPRESS: Final = 271

_NAMES: Final = {
    SYNTAX_ERROR: "SYNTAX_ERROR",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    TOO_MANY_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    SUPPORT_IS_DISABLED: "SUPPORT_IS_DISABLED",
    READONLY: "READONLY",
    SETTING_CONSTRAINT_VIOLATION: "SETTING_CONSTRAINT_VIOLATION",
    ACCESS_DENIED: "ACCESS_DENIED",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    LIMIT_EXCEEDED: "LIMIT_EXCEEDED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
}

# As ClickHouse's HTTPHandler maps them; everything else is 500.
HTTP_STATUS: Final = {
    AUTHENTICATION_FAILED: 403,
    ACCESS_DENIED: 403,
    SUPPORT_IS_DISABLED: 501,
    LIMIT_EXCEEDED: 413,
    TOO_MANY_QUERIES: 503,
    60: 404,  # UNKNOWN_TABLE
    81: 404,  # UNKNOWN_DATABASE
    46: 404,  # UNKNOWN_FUNCTION
    47: 404,  # UNKNOWN_IDENTIFIER
    50: 404,  # UNKNOWN_TYPE
    63: 404,  # UNKNOWN_AGGREGATE_FUNCTION
    36: 400,
    38: 400,  # CANNOT_PARSE_DATE
    53: 400,  # TYPE_MISMATCH
    62: 400,
    164: 400,
    452: 400,
    271: 400,
    456: 400,  # UNKNOWN_QUERY_PARAMETER
    457: 400,  # BAD_QUERY_PARAMETER
    159: 408,  # TIMEOUT_EXCEEDED
    115: 404,
}


@dataclass(slots=True)
class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """The interface does not do that.

    Attributes:
        code: ClickHouse's number for it.
        reason: One sentence.
    """

    code: int
    reason: str

    @property
    def text(self) -> str:
        """The message in the form in which ClickHouse's clients look for the code."""
        return f"Code: {self.code}. DB::Exception: {self.reason} ({_NAMES[self.code]})"
