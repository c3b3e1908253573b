"""Newest readings and latest movements, in memory, for those who watch the clock."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from telemetry.model.pipeline import Movement
from telemetry.model.reading import Tail
from telemetry.model.signal import Signal


class SignalBoard:
    """What freshness and pipeline watching look at. Rebuilt from the stores at start-up."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}
        self._tails: dict[str, Tail] = {}
        self._movements: dict[tuple[str, str], Movement] = {}
        self.version = 0

    def note(self, signal: Signal, tail: Tail) -> None:
        """Remember a signal's newest reading; an older one changes nothing."""
        known = self._tails.get(signal.signal_id)
        if known is not None and tail.observed_us < known.observed_us:
            return
        self._signals[signal.signal_id] = signal
        self._tails[signal.signal_id] = tail
        self.version += 1

    def define(self, signal: Signal) -> None:
        """Take a signal's newer definition over, when readings of it were seen."""
        if signal.signal_id in self._signals:
            self._signals[signal.signal_id] = signal
            self.version += 1

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

    def entries(self) -> Iterator[tuple[Signal, Tail]]:
        """Yield every signal with its newest reading."""
        for signal_id, tail in self._tails.items():
            yield self._signals[signal_id], tail
