"""Documents that clients name instead of sending: registered ones, and ones seen before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from twinmesh_federation.execution.result import GraphQLRequest
from twinmesh_federation.serving.refusal import RefusedRequest

MAX_MANIFEST_BYTES: Final = 32 * 1024 * 1024
DEFAULT_AUTOMATIC: Final = 1_000
DEFAULT_AUTOMATIC_CHARS: Final = 16 * 1024 * 1024
MANIFEST_FORMAT: Final = "apollo-persisted-query-manifest"


class ManifestError(ValueError):
    """A file is no manifest of persisted documents."""


def read_manifest(path: Path) -> dict[str, str]:
    """Read persisted documents by id.

    Takes what the ecosystem's tools write: `{"format": "apollo-persisted-query-manifest",
    "version": 1, "operations": [{"id": …, "body": …}]}`, or a plain `{"id": "document"}`.

    Raises:
        ManifestError: It is neither, or too large.
    """
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise ManifestError(f"{path} is larger than {MAX_MANIFEST_BYTES} bytes")
        content: Any = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise ManifestError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} is no JSON object")
    if "operations" not in content:
        return {_text(path, key): _text(path, body) for key, body in content.items()}
    if content.get("format") != MANIFEST_FORMAT or content.get("version") != 1:
        raise ManifestError(f"{path} is not of the format {MANIFEST_FORMAT}, version 1")
    found: dict[str, str] = {}
    for operation in content["operations"] or ():
        if not isinstance(operation, dict):
            raise ManifestError(f"{path}: an operation is no object")
        found[_text(path, operation.get("id"))] = _text(path, operation.get("body"))
    return found


def _text(path: Path, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{path}: ids and bodies are text")
    return value


class AutomaticDocuments:
    """Documents that clients registered by sending them once, by SHA-256; the oldest go first.

    Args:
        count: Documents kept at most.
        chars: Their length together at most.
    """

    def __init__(
        self, *, count: int = DEFAULT_AUTOMATIC, chars: int = DEFAULT_AUTOMATIC_CHARS
    ) -> None:
        self._count = count
        self._chars = chars
        self._held = 0
        self._documents: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        """Count the documents kept."""
        return len(self._documents)

    def get(self, digest: str) -> str | None:
        """Return a document, None when it was never sent or has been dropped."""
        found = self._documents.get(digest)
        if found is not None:
            self._documents.move_to_end(digest)
        return found

    def put(self, digest: str, document: str) -> None:
        """Keep a document whose digest was checked."""
        if digest in self._documents or len(document) > self._chars:
            return
        self._documents[digest] = document
        self._held += len(document)
        while len(self._documents) > self._count or self._held > self._chars:
            _, dropped = self._documents.popitem(last=False)
            self._held -= len(dropped)


class DocumentPolicy:
    """Finds the document of a request.

    A request names one by `documentId`, or by `extensions.persistedQuery` with its SHA-256.

    Args:
        persisted: Registered documents by id.
        safelist: Answer registered documents only, named or sent whole.
        automatic: Where documents are kept that clients register by themselves; None forbids it.
            A safelist has none.
    """

    def __init__(
        self,
        *,
        persisted: Mapping[str, str] | None = None,
        safelist: bool = False,
        automatic: AutomaticDocuments | None = None,
    ) -> None:
        self._persisted = {_bare(key): body for key, body in (persisted or {}).items()}
        self._safelist = safelist
        self._bodies = frozenset(self._persisted.values())
        self._automatic = None if safelist else automatic

    def resolve(self, request: GraphQLRequest) -> GraphQLRequest:
        """Return the request with its document.

        Raises:
            RefusedRequest: It names an unknown document, or one that does not match, or the
                safelist does not have it.
        """
        name, digest = _named(request)
        query = request.query
        if name is not None and (known := self._persisted.get(name)) is not None:
            if query is not None and query != known:
                raise RefusedRequest(
                    400, "BAD_REQUEST", "The document sent is not the one that is named."
                )
            return replace(request, query=known)
        if self._safelist:
            if query is not None and query in self._bodies:
                return request
            raise RefusedRequest(
                403, "QUERY_NOT_IN_SAFELIST",
                "Only registered documents are answered here: name one by its id.",
            )  # fmt: skip
        if digest is not None:
            return self._automatically(request, digest)
        if name is not None and query is None:
            raise RefusedRequest(404, "PERSISTED_QUERY_NOT_FOUND", "No document of this id.")
        return request

    def _automatically(self, request: GraphQLRequest, digest: str) -> GraphQLRequest:
        if self._automatic is None:
            if request.query is not None:
                return request
            raise RefusedRequest(200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        if request.query is None:
            known = self._automatic.get(digest)
            if known is None:
                raise RefusedRequest(200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
            return replace(request, query=known)
        if hashlib.sha256(request.query.encode()).hexdigest() != digest:
            raise RefusedRequest(
                400, "PERSISTED_QUERY_HASH_MISMATCH", "The document does not match its SHA-256."
            )
        self._automatic.put(digest, request.query)
        return request


def _bare(name: str) -> str:
    return name.removeprefix("sha256:").lower() if name.startswith("sha256:") else name


def _named(request: GraphQLRequest) -> tuple[str | None, str | None]:
    """Return the name a request gives its document, and its SHA-256 where it gives that.

    Raises:
        RefusedRequest: What it gives has another form.
    """
    if request.document_id is not None:
        return _bare(request.document_id), None
    given = request.extensions.get("persistedQuery")
    if given is None:
        return None, None
    digest = given.get("sha256Hash") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or given.get("version") != 1 or not isinstance(digest, str):
        raise RefusedRequest(
            400, "BAD_REQUEST", "extensions.persistedQuery must be {version: 1, sha256Hash: …}."
        )
    return digest.lower(), digest.lower()
