"""Deprecations, overrides, and events about them, in memory."""

from collections.abc import Sequence
from datetime import datetime

from governance.adapters.memory.state import Part
from governance.model.changes import Deprecation, Override, UsedPartDeprecated
from governance.wire.announcements import envelope_of


class MemoryChanges(Part):
    """See `ChangeSession`."""

    async def deprecations(self, service: str = "") -> list[Deprecation]:
        """See `ChangeSession.deprecations`."""
        held = self.state.deprecations
        return [held[key] for key in sorted(held) if service in ("", key[0])]

    async def replace_deprecations(self, service: str, now: Sequence[Deprecation]) -> None:
        """See `ChangeSession.replace_deprecations`."""
        for key in [key for key in self.state.deprecations if key[0] == service]:
            del self.state.deprecations[key]
        for each in now:
            self.state.deprecations[each.service, each.coordinate] = each

    async def overrides(self, *, unexpired_at: datetime | None = None) -> list[Override]:
        """See `ChangeSession.overrides`."""
        found = [
            each
            for each in self.state.overrides.values()
            if unexpired_at is None or each.expires_at > unexpired_at
        ]
        found.sort(key=lambda each: str(each.id))
        return sorted(found, key=lambda each: each.requested_at, reverse=True)

    async def save_override(self, override: Override) -> None:
        """See `ChangeSession.save_override`."""
        self.state.overrides[str(override.id)] = override

    async def announce(self, facts: Sequence[UsedPartDeprecated]) -> None:
        """See `ChangeSession.announce`."""
        for envelope in map(envelope_of, facts):
            self.state.announced.setdefault(envelope.id, envelope)
