"""What a failure looks like at each door: one complete table per protocol."""

from typing import Any, Final

import grpc

from twinmesh_sdk.core.disposition import DISPOSITION, Disposition
from twinmesh_sdk.core.errors import BY_CODE, RETRYABLE, ErrorCode, TwinError

__all__ = [
    "DISPOSITION",
    "GRPC_STATUS",
    "HTTP_STATUS",
    "INTERNAL",
    "Disposition",
    "error_of",
    "extensions_of",
    "from_grpc",
    "problem_of",
]

INTERNAL: Final = "INTERNAL"
"""The code of a bug: never retryable, its message never shown."""

INTERNAL_MESSAGE: Final = "internal error"

GRPC_STATUS: Final[dict[ErrorCode, grpc.StatusCode]] = {
    ErrorCode.INVALID_INPUT: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorCode.CONFLICT: grpc.StatusCode.ABORTED,
    ErrorCode.PRECONDITION_FAILED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.LIMIT_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorCode.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}

HTTP_STATUS: Final[dict[ErrorCode, int]] = {
    ErrorCode.INVALID_INPUT: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.PRECONDITION_FAILED: 412,
    ErrorCode.LIMIT_EXCEEDED: 429,
    ErrorCode.DEADLINE_EXCEEDED: 504,
    ErrorCode.UNAVAILABLE: 503,
}

FROM_GRPC: Final[dict[grpc.StatusCode, ErrorCode]] = {
    **{status: code for code, status in GRPC_STATUS.items()},
    grpc.StatusCode.ALREADY_EXISTS: ErrorCode.CONFLICT,
    grpc.StatusCode.OUT_OF_RANGE: ErrorCode.INVALID_INPUT,
    grpc.StatusCode.CANCELLED: ErrorCode.UNAVAILABLE,
}
"""What a peer's status means when it sent no detail; the rest are its bugs."""


def error_of(code: str, message: str, *, hint: str = "") -> TwinError | None:
    """Return the error of a code as received; None when the code is none of ours."""
    try:
        return BY_CODE[ErrorCode(code)](message, hint=hint)
    except ValueError:
        return None


def from_grpc(status: grpc.StatusCode, message: str) -> TwinError | None:
    """Return the error that a peer's bare status means; None when it means a bug there."""
    code = FROM_GRPC.get(status)
    return None if code is None else BY_CODE[code](message)


def extensions_of(error: BaseException, trace_id: str) -> dict[str, Any]:
    """Return the `extensions` of a GraphQL error."""
    if isinstance(error, TwinError):
        return {
            "code": error.code.value,
            "retryable": error.code in RETRYABLE,
            "hint": error.hint,
            "traceId": trace_id,
        }
    return {"code": INTERNAL, "retryable": False, "hint": "", "traceId": trace_id}


def problem_of(error: BaseException, trace_id: str) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the problem document (RFC 9457) of a failure."""
    details = extensions_of(error, trace_id)
    status = HTTP_STATUS[error.code] if isinstance(error, TwinError) else 500
    return status, {
        "type": f"https://twinmesh.dev/errors/{details['code'].lower().replace('_', '-')}",
        "title": details["code"].replace("_", " ").capitalize(),
        "status": status,
        "detail": str(error) if isinstance(error, TwinError) else INTERNAL_MESSAGE,
        **details,
    }
