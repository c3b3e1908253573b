"""Newest readings and latest movements, in memory, for those who watch the clock."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from telemetry.model.pipeline import Movement
from telemetry.model.reading import Tail
from telemetry.model.signal import Signal


class SignalBoard:
    """What freshness and pipeline watching look at. Rebuilt from the stores at start-up.

    Attributes:
        shape: Changes whenever a signal appears or is defined anew.
    """

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}
        self._tails: dict[str, Tail] = {}
        self._movements: dict[tuple[str, str], Movement] = {}
        self.shape = 0

    def note(self, signal: Signal, tail: Tail) -> None:
        """Remember a signal's newest reading; an older one changes nothing."""
        known = self._tails.get(signal.signal_id)
        if known is not None and tail.observed_us < known.observed_us:
            return
        if self._signals.get(signal.signal_id) != signal:
            self._signals[signal.signal_id] = signal
            self.shape += 1
        self._tails[signal.signal_id] = tail

    def moved(self, sources: Iterable[tuple[str, str]], *, hop: str, at_us: int) -> None:
        """Remember that a hop moved data of these sources, whether or not the rest succeeds.

        Args:
            sources: Tenant and source.
            hop: Name of a field of `Movement`.
            at_us: Wall time.
        """
        later: dict[str, Any] = {hop: at_us}
        for tenant, source in sources:
            known = self._movements.get((tenant, source)) or Movement(tenant, source)
            self._movements[tenant, source] = replace(known, **later)

    def movement(self, written: Movement) -> Movement:
        """Return what the ledger has of a source, brought up to date."""
        known = self._movements.get((written.tenant, written.source))
        return written if known is None else written.latest(known)

    def signals(self) -> list[Signal]:
        """Return every signal that has a reading."""
        return list(self._signals.values())

    def tail(self, signal_id: str) -> Tail:
        """Return the newest reading of a signal that has one."""
        return self._tails[signal_id]
