"""A request that is answered before GraphQL sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RefusedRequest(Exception):  # noqa: N818 - an outcome that a context factory may raise
    """A request that is answered before GraphQL sees it, e.g. for want of a valid token.

    Attributes:
        status: HTTP status of the answer.
        code: `extensions.code` of its one error.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.extensions = dict(extensions or {})
