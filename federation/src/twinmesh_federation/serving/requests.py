"""A request's parts, checked."""

from __future__ import annotations

from typing import Any

from twinmesh_federation.execution.result import GraphQLRequest
from twinmesh_federation.serving.refusal import RefusedRequest


def graphql_request(payload: dict[str, Any]) -> GraphQLRequest:
    """Check a request's parts.

    Raises:
        RefusedRequest: One has the wrong type, or there is no query.
    """
    query = payload.get("query")
    extensions = payload.get("extensions")
    named = "documentId" in payload or (
        isinstance(extensions, dict) and "persistedQuery" in extensions
    )
    if query is None and not named:
        raise RefusedRequest(400, "BAD_REQUEST", "Must provide a query string.")
    checks: tuple[tuple[str, type, str], ...] = (
        ("query", str, "a string"),
        ("operationName", str, "a string"),
        ("documentId", str, "a string"),
        ("variables", dict, "an object"),
        ("extensions", dict, "an object"),
    )
    for name, kind, description in checks:
        value = payload.get(name)
        if value is not None and not isinstance(value, kind):
            raise RefusedRequest(400, "BAD_REQUEST", f"{name} must be {description}.")
    return GraphQLRequest(
        query=query,
        operation_name=payload.get("operationName") or None,
        variables=payload.get("variables") or {},
        extensions=extensions or {},
        document_id=payload.get("documentId"),
    )
