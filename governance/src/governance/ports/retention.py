"""What governance needs for retention."""

from datetime import timedelta
from typing import Protocol

from governance.model.retention import DataClass, Retention


class RetentionSession(Protocol):
    """Retention policies in a transaction."""

    async def retentions(self) -> list[Retention]:
        """Return every policy, by class; a class without one is kept as its store does."""
        ...

    async def save_retention(self, changed: Retention) -> None:
        """Insert or update the policy of a class."""
        ...


class StreamAges(Protocol):
    """How long the bus keeps what it keeps."""

    async def keep(self, data_class: DataClass, age: timedelta) -> bool:
        """Let a stream keep its messages so long; False when it does already.

        Raises:
            UnavailableError: The bus does not answer, or refuses.
        """
        ...
