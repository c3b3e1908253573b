"""Retention policies in memory."""

from governance.adapters.memory.state import Part
from governance.model.retention import Retention


class MemoryRetention(Part):
    """See `RetentionSession`."""

    async def retentions(self) -> list[Retention]:
        """See `RetentionSession.retentions`."""
        return [self.state.retentions[name] for name in sorted(self.state.retentions)]

    async def save_retention(self, changed: Retention) -> None:
        """See `RetentionSession.save_retention`."""
        self.state.retentions[changed.data_class.value] = changed
