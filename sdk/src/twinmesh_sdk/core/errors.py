"""Anticipated failures. One code per thing the caller can do next; a table per protocol."""

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """What a caller can do about a failure."""

    INVALID_INPUT = "INVALID_INPUT"  # fix the request
    UNAUTHENTICATED = "UNAUTHENTICATED"  # get a token
    FORBIDDEN = "FORBIDDEN"  # ask for access
    NOT_FOUND = "NOT_FOUND"  # fix the id, or register the thing first
    CONFLICT = "CONFLICT"  # reload and try again
    PRECONDITION_FAILED = "PRECONDITION_FAILED"  # bring the other thing about first
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"  # ask for less, or later
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"  # try again with more time
    UNAVAILABLE = "UNAVAILABLE"  # wait and try again


RETRYABLE: frozenset[ErrorCode] = frozenset(
    {ErrorCode.CONFLICT, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.UNAVAILABLE}
)


class TwinError(Exception):
    """Root of all anticipated failures. Anything else that escapes is a bug.

    Attributes:
        hint: What the caller can do, as one sentence; empty when the code says it all.
    """

    code: ClassVar[ErrorCode]

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later, unchanged."""
        return self.code in RETRYABLE


class InvalidInputError(TwinError):
    """The request can never succeed as it is."""

    code = ErrorCode.INVALID_INPUT


class UnauthenticatedError(TwinError):
    """No token, or one that does not verify."""

    code = ErrorCode.UNAUTHENTICATED


class ForbiddenError(TwinError):
    """The caller is known and may not."""

    code = ErrorCode.FORBIDDEN


class NotFoundError(TwinError):
    """No such thing, or it belongs to another tenant: the caller cannot tell which."""

    code = ErrorCode.NOT_FOUND


class ConflictError(TwinError):
    """A concurrent change won; safe to repeat."""

    code = ErrorCode.CONFLICT


class PreconditionFailedError(TwinError):
    """Something else has to be true first: a contract registered, a model approved."""

    code = ErrorCode.PRECONDITION_FAILED


class LimitExceededError(TwinError):
    """The request is larger, or comes more often, than a named limit allows."""

    code = ErrorCode.LIMIT_EXCEEDED


class DeadlineExceededError(TwinError):
    """The deadline passed before the answer was there."""

    code = ErrorCode.DEADLINE_EXCEEDED


class UnavailableError(TwinError):
    """Something we depend on does not answer."""

    code = ErrorCode.UNAVAILABLE


BY_CODE: dict[ErrorCode, type[TwinError]] = {
    kind.code: kind
    for kind in (
        InvalidInputError,
        UnauthenticatedError,
        ForbiddenError,
        NotFoundError,
        ConflictError,
        PreconditionFailedError,
        LimitExceededError,
        DeadlineExceededError,
        UnavailableError,
    )
}
