"""What governance needs for deprecations, overrides, and events about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from governance.model.changes import Deprecation, Override, UsedPartDeprecated


class ChangeSession(Protocol):
    """Deprecations and overrides in a transaction."""

    async def deprecations(self, service: str = "") -> list[Deprecation]:
        """Return what is deprecated, of one service or of all."""
        ...

    async def replace_deprecations(self, service: str, now: Sequence[Deprecation]) -> None:
        """Make these the deprecations of a service."""
        ...

    async def overrides(self, *, unexpired_at: datetime | None = None) -> list[Override]:
        """Return at most 1000 overrides, the newest first; unexpired ones when a time is given."""
        ...

    async def save_override(self, override: Override) -> None:
        """Insert or update an override."""
        ...

    async def announce(self, facts: Sequence[UsedPartDeprecated]) -> None:
        """Save facts beside the state that they announce; the relay publishes them as events."""
        ...
