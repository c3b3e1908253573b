"""What was made for texts that clients sent: so many of them, and so long together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from itertools import islice
from typing import Final, Generic, TypeVar

DEFAULT_CHARS: Final = 16 * 1024 * 1024

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Values by key; the least recently used go first.

    Args:
        count: Entries kept at most.
        chars: Length of the texts behind them together, at most; a longer text is not kept.
    """

    def __init__(self, count: int, chars: int = DEFAULT_CHARS) -> None:
        self._count = count
        self._chars = chars
        self._held = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries)

    @property
    def held_chars(self) -> int:
        """Return the length of the texts together."""
        return self._held

    def latest(self, count: int) -> list[K]:
        """Return the keys used last, the last one first."""
        return list(islice(reversed(self._entries), count))

    def get(self, key: K) -> V | None:
        """Return a value; None where none is kept."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: K, value: V, chars: int) -> None:
        """Keep a value made for a text of that length."""
        before = self._entries.pop(key, None)
        if before is not None:
            self._held -= before[1]
        if chars > self._chars:
            return
        self._entries[key] = (value, chars)
        self._held += chars
        while len(self._entries) > self._count or self._held > self._chars:
            _, (_, dropped) = self._entries.popitem(last=False)
            self._held -= dropped
