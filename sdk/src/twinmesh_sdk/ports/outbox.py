"""Events saved beside the state they announce, and the memory of those already handled."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from twinmesh_sdk.core.events import Envelope


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One saved event that waits to be published.

    Attributes:
        key: Identifies the row to its store; entries are published in the order they are given.
    """

    key: str
    envelope: Envelope


class OutboxStore(Protocol):
    """Where a service keeps the events it has yet to publish."""

    async def pending(self, limit: int) -> Sequence[OutboxEntry]:
        """Return the oldest entries, at most `limit`.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Forget entries that the bus has acknowledged; unknown keys are fine.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...


class Inbox(Protocol):
    """Remembers, in the transaction of the handler's state, which events were handled."""

    def once(self, source: str, event_id: str) -> AbstractAsyncContextManager[bool]:
        """Open the transaction in which one event is handled.

        Yields:
            True the first time; False when a committed transaction has handled it before.
        """
        ...

    async def forget_old(self) -> int:
        """Forget events that the bus no longer keeps, a bounded number at once; returns how many.

        Raises:
            UnavailableError: The store does not answer.
        """
        ...
