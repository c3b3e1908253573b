"""Requests that another site's page makes a browser send.

A POST is safe already: it must be `application/json`, which no page may send elsewhere without a
preflight. What is left are GETs, and WebSockets, which have no preflight at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from twinmesh_federation.serving.refusal import RefusedRequest

PREFLIGHT_HEADERS: Final = (
    "x-graphql-require-preflight", "graphql-require-preflight", "apollo-require-preflight",
    "x-apollo-operation-name",
)  # fmt: skip
"""Any of them shows that a preflight was passed, or that no browser page asks."""
_SIMPLE: Final = (
    "application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CsrfPolicy:
    """Which requests must show that no foreign page made them.

    Attributes:
        origins: Origins of pages that may ask, as in CORS; "*" allows all.
        strict: Demand a preflight header of every request that could do without a preflight, also
            where no browser says that it comes from elsewhere. Without it, `Sec-Fetch-Site` and
            `Origin` decide, which every browser since 2023 sends and no program needs to.
    """

    origins: frozenset[str] = frozenset()
    strict: bool = False

    def check(self, headers: Mapping[str, str]) -> None:
        """Pass silently what may be answered.

        Args:
            headers: Lower-case names.

        Raises:
            RefusedRequest: A foreign page may stand behind it.
        """
        if _forces_preflight(headers):
            return
        if self.strict or self._is_foreign(headers):
            raise RefusedRequest(
                403, "FORBIDDEN",
                f"This could be another site's request: send the header {PREFLIGHT_HEADERS[0]} "
                "with any value, or content-type application/json.",
            )  # fmt: skip

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Pass silently a WebSocket handshake of an allowed page, or of no page.

        Raises:
            RefusedRequest: A foreign page asks for it.
        """
        if self._is_foreign(headers):
            raise RefusedRequest(403, "FORBIDDEN", "This origin may not ask here.")

    def _is_foreign(self, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is not None and (origin in self.origins or "*" in self.origins):
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        if origin is None:
            return False
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _forces_preflight(headers: Mapping[str, str]) -> bool:
    if any(headers.get(name) for name in PREFLIGHT_HEADERS):
        return True
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind not in _SIMPLE
