"""What an execution yields: data, errors, and how each subgraph did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson


class SubgraphStatus(StrEnum):
    """How a subgraph did in one request; the worst of its fetches."""

    OK = "OK"
    SKIPPED = "SKIPPED"
    ERROR = "ERROR"
    TIMEOUT = "TIMEOUT"


SEVERITY: dict[SubgraphStatus, int] = {s: n for n, s in enumerate(SubgraphStatus)}


@dataclass(slots=True)
class SubgraphReport:
    """One subgraph's part in an answer.

    Attributes:
        fetches: Requests sent.
        ms: Milliseconds of its slowest request.
        deadline_ms: Milliseconds that its requests were given.
        code: What failed, where something did.
    """

    status: SubgraphStatus
    fetches: int = 0
    ms: float = 0.0
    deadline_ms: float = 0.0
    code: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        data: dict[str, Any] = {
            "status": self.status.value,
            "ms": round(self.ms, 1),
            "deadlineMs": round(self.deadline_ms),
            "fetches": self.fetches,
        }
        if self.code is not None:
            data["code"] = self.code
        return data


@dataclass(slots=True)
class GraphQLRequest:
    """What a client asks.

    Attributes:
        document_id: Name of a registered document, where it is not sent.
    """

    query: str | None
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None


@dataclass(slots=True)
class ExecutionResult:
    """An answer, before it is encoded.

    Attributes:
        data: None after a request error, or when null reached the root.
        has_data: False for request errors, whose answer has no `data` entry.
        subgraphs: Report by subgraph name.
    """

    data: dict[str, Any] | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)
    has_data: bool = True
    subgraphs: dict[str, SubgraphReport] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the answer as GraphQL over HTTP has it."""
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = self.errors
        if self.has_data:
            body["data"] = self.data
        if self.extensions:
            body["extensions"] = self.extensions
        return body


def request_error(message: str, code: str, **extra: Any) -> ExecutionResult:  # noqa: ANN401 - JSON
    """Answer a request that was not executed."""
    error: dict[str, Any] = {"message": message, "extensions": {"code": code, **extra}}
    return ExecutionResult(errors=[error], has_data=False)


def encode(result: ExecutionResult) -> bytes:
    """Return an answer as JSON; one that a subgraph nested too deeply to encode is an error."""
    try:
        return orjson.dumps(result.to_json())
    except TypeError:
        failure = request_error("The answer nests too deeply to be encoded.", "BAD_RESPONSE")
        return orjson.dumps(failure.to_json())
