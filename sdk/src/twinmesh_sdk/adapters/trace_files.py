"""Spans as JSON lines in a folder, bounded in size."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

MAX_FILE_BYTES: Final = 16 * 2**20
KEPT_FILES: Final = 3
"""Files per service: the one written to, and older ones as `<service>.1.jsonl` and so on."""


class TraceFiles(SpanExporter):
    """Appends one line per span to `<folder>/<service>.jsonl`, and starts anew when it is full.

    A line is `{"trace_id", "span_id", "parent_id", "name", "kind", "service", "start_us",
    "end_us", "status", "message", "attributes", "links": [{"trace_id", "span_id"}]}`.
    """

    def __init__(self, folder: Path, service: str, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._service = service
        self._max_file_bytes = max_file_bytes

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write spans; a full disk loses spans, never the service."""
        lines = [json.dumps(_line(self._service, s), default=str) + "\n" for s in spans]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._path(0)
            if path.exists() and path.stat().st_size > self._max_file_bytes:
                self._rotate()
            with path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError:
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is kept open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back."""
        del timeout_millis
        return True

    def _path(self, age: int) -> Path:
        return self._folder / (f"{self._service}.{age}.jsonl" if age else f"{self._service}.jsonl")

    def _rotate(self) -> None:
        for age in range(KEPT_FILES - 1, 0, -1):
            if self._path(age - 1).exists():
                os.replace(self._path(age - 1), self._path(age))


def _line(service: str, span: ReadableSpan) -> dict[str, Any]:
    context = span.get_span_context()
    return {
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{span.parent.span_id:016x}" if span.parent else "",
        "name": span.name,
        "kind": span.kind.name,
        "service": service,
        "start_us": (span.start_time or 0) // 1000,
        "end_us": (span.end_time or 0) // 1000,
        "status": span.status.status_code.name,
        "message": span.status.description or "",
        "attributes": dict(span.attributes or {}),
        "links": [
            {"trace_id": f"{x.context.trace_id:032x}", "span_id": f"{x.context.span_id:016x}"}
            for x in span.links
        ],
    }
