"""Logs as JSON lines on standard error: a constant message, data in fields."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

from twinmesh_sdk.adapters import tracing

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
MAX_VALUE_CHARS: Final = 2000
_QUIET: Final = ("strawberry.execution", "httpx", "httpcore", "nats", "alembic", "uvicorn")


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, service, trace_id, fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace_id := tracing.trace_id():
            line["trace_id"] = trace_id
        for name, value in vars(record).items():
            if name not in _OWN:
                plain = isinstance(value, bool | int | float) or value is None
                line[name] = value if plain else str(value)[:MAX_VALUE_CHARS]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(service: str, level: str) -> None:
    """Send every log of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("strawberry.execution").setLevel(logging.CRITICAL)  # the host logs bugs
