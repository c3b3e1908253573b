"""Which pages' scripts may read answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from twinmesh_federation.serving.csrf import PREFLIGHT_HEADERS

MAX_AGE_S: Final = 600


def cors(
    origins: Iterable[str],
    *,
    headers: Iterable[str] = (),
    exposed: Iterable[str] = ("retry-after",),
) -> Middleware:
    """Return middleware that answers preflights; cookies are never allowed.

    Args:
        origins: Origins that may ask; "*" allows all.
        headers: Request headers allowed beside those of GraphQL and `authorization`.
        exposed: Response headers that scripts may read.
    """
    allowed = ("authorization", "content-type", "accept", *PREFLIGHT_HEADERS, *headers)
    return Middleware(
        CORSMiddleware,
        allow_origins=sorted(origins),
        allow_methods=["GET", "POST"],
        allow_headers=list(allowed),
        expose_headers=list(exposed),
        max_age=MAX_AGE_S,
    )
