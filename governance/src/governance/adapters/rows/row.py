"""What every row has in common."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Row = Mapping[str, Any]


def utc(moment: datetime) -> datetime:
    """Return a stored time in UTC."""
    return moment.astimezone(UTC)
