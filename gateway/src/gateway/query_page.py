"""A page to ask from, signed in, with saved questions. For the local stack only.

The editor is GraphiQL from an installed package: nothing is loaded from elsewhere.
"""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from twinmesh_sdk.core.errors import ForbiddenError, NotFoundError, PreconditionFailedError

ASSETS: Final = "graphene_django_graphiql_static"
"""The package whose static files are GraphiQL; none of its code is used."""
SCRIPTS: Final = ("react.production.min.js", "react-dom.production.min.js", "graphql-ws.min.js",
                  "graphiql.min.js")  # fmt: skip
STYLES: Final = ("graphiql.min.css",)
VERIFIED: Final = {
    "react.production.min.js": "Ipu/TQ50iCCVZBUsZyNJfxrDk0E2yhaEIz0vqI+kFG8=",
    "react-dom.production.min.js": "nbMykgB6tsOFJ7OdVmPpdqMFVk4ZsqWocT6issAPUF0=",
    "graphql-ws.min.js": "EZhvg6ANJrBsgLvLAa0uuHNLepLJVCFYS+xlb5U/bqw=",
    "graphiql.min.js": "xWTeBbldGE4sW6XOryY1gh9r+S8tV3e3TZEAT/a1kdE=",
    "graphiql.min.css": "xs1Lg/AcXh/0l113vJVxhNzm3sAVX7+cxNkZDrqKe50=",
}
"""SHA-256 of the files, compared with what the projects themselves published (React 17.0.2,
graphql-ws 5.12.1, GraphiQL 2.4.7)."""
MAX_SAMPLES: Final = 20
MAX_SAMPLE_BYTES: Final = 20_000
LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))


@dataclass(frozen=True, slots=True)
class Sample:
    """A saved question."""

    name: str
    query: str


def read_samples(folder: Path) -> list[Sample]:
    """Return the questions of a folder, by name; the first MAX_SAMPLES.

    Raises:
        PreconditionFailedError: There is no such folder, or a file is too large.
    """
    if not folder.is_dir():
        raise PreconditionFailedError(f"{folder} is no folder of saved questions")
    found = []
    for path in sorted(folder.glob("*.graphql"))[:MAX_SAMPLES]:
        if path.stat().st_size > MAX_SAMPLE_BYTES:
            raise PreconditionFailedError(f"{path} is larger than {MAX_SAMPLE_BYTES} bytes")
        found.append(Sample(path.stem, path.read_text(encoding="utf-8")))
    return found


class QueryPage:
    """The page and its files.

    Args:
        samples: Each is a tab of the editor.
        token: Returns the token that the page asks with.
    """

    def __init__(self, samples: list[Sample], token: Callable[[], Awaitable[str]]) -> None:
        self._samples = samples
        self._token = token
        self._files = verified_files(VERIFIED)

    async def page(self, request: Request) -> Response:
        """Answer the page.

        Raises:
            ForbiddenError: It was asked for by another name than this machine's: a page elsewhere
                may have made that name lead here, and must not read the token.
        """
        _check_host(request)
        nonce = secrets.token_urlsafe(16)
        told = {
            "token": await self._token(),
            "tabs": [{"query": s.query} for s in self._samples],
        }
        template = files("gateway").joinpath("query_page.html").read_text(encoding="utf-8")
        tags = [
            f'<link rel="stylesheet" href="/query-page/{name}" {_integrity(name)}>'
            for name in STYLES
        ]
        tags += [
            f'<script src="/query-page/{name}" {_integrity(name)}></script>' for name in SCRIPTS
        ]
        html = (
            template.replace("@FILES@", "\n".join(tags))
            .replace("@NONCE@", nonce)
            .replace("@TOLD@", json.dumps(told).replace("<", "\\u003c"))
        )
        return HTMLResponse(html, headers=_headers(nonce))

    async def file(self, request: Request) -> Response:
        """Answer one of the editor's files.

        Raises:
            NotFoundError: It is none of them.
        """
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise NotFoundError("the page has no such file")
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        return Response(
            content,
            media_type=f"{kind}; charset=utf-8",
            headers={"cache-control": "public, max-age=86400", "x-content-type-options": "nosniff"},
        )


def _check_host(request: Request) -> None:
    name = urlsplit(f"//{request.headers.get('host', '')}").hostname
    if name not in LOOPBACK:
        raise ForbiddenError("the page is for this machine: ask for it at 127.0.0.1")


def verified_files(digests: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the editor's files.

    Args:
        digests: SHA-256 by name, in base64.

    Raises:
        PreconditionFailedError: They are not installed, or not those that were verified.
    """
    try:
        folder: Traversable = files(ASSETS) / "static" / ASSETS
    except ModuleNotFoundError as error:
        raise PreconditionFailedError(
            "the query page's editor is not installed", hint="install gateway[page]"
        ) from error
    found = {}
    for name in (*STYLES, *SCRIPTS):
        content = (folder / name).read_bytes()
        if b64encode(hashlib.sha256(content).digest()).decode() != digests[name]:
            raise PreconditionFailedError(f"{name} of the editor is not the file that was verified")
        found[name] = content
    return found


def _integrity(name: str) -> str:
    return f'integrity="sha256-{VERIFIED[name]}"'


def _headers(nonce: str) -> dict[str, str]:
    policy = (
        "default-src 'none'; connect-src 'self'; font-src 'self' data:; img-src 'self' data:; "
        f"script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
