"""The newest reading of every signal, in memory, for those who watch the clock."""

from collections.abc import Iterator

from telemetry.model.reading import Tail
from telemetry.model.signal import Signal


class SignalBoard:
    """What freshness and pipeline watching look at. Rebuilt from the stores at start-up."""

    def __init__(self) -> None:
        self._signals: dict[str, Signal] = {}
        self._tails: dict[str, Tail] = {}
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

    def entries(self) -> Iterator[tuple[Signal, Tail]]:
        """Yield every signal with its newest reading."""
        for signal_id, tail in self._tails.items():
            yield self._signals[signal_id], tail
