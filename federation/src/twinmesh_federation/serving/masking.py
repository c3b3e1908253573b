"""What clients see of errors that subgraphs did not mean for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twinmesh_federation.execution.result import ExecutionResult

ENGINE_CODES: Final = frozenset(
    ("TIMEOUT", "UNAVAILABLE", "BAD_RESPONSE", "SKIPPED", "UNAUTHORIZED_FIELD_OR_TYPE")
)
MASKED_MESSAGE: Final = "A subgraph failed in a way that it did not announce."
MASKED_CODE: Final = "DOWNSTREAM_SERVICE_ERROR"
_ALWAYS_SHOWN: Final = frozenset(("code", "serviceName", "traceId", "retryable"))


class ErrorMasking:
    """Replaces errors of subgraphs unless their code is one that clients are meant to read.

    Args:
        known: Codes whose messages and extensions are shown, beside the engine's own.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = ENGINE_CODES | frozenset(known)

    def apply(self, result: ExecutionResult) -> list[dict[str, Any]]:
        """Mask a result's errors where needed; returns the originals of those masked."""
        masked: list[dict[str, Any]] = []
        for at, error in enumerate(result.errors):
            extensions = error.get("extensions") or {}
            if "serviceName" not in extensions or extensions.get("code") in self._known:
                continue
            masked.append(error)
            kept = {k: v for k, v in extensions.items() if k in _ALWAYS_SHOWN}
            shown: dict[str, Any] = {"message": MASKED_MESSAGE}
            if "path" in error:
                shown["path"] = error["path"]
            result.errors[at] = {**shown, "extensions": {**kept, "code": MASKED_CODE}}
        return masked
