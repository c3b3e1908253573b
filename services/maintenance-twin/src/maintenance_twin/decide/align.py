"""Align an asset's readings into rows, by event time alone."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from maintenance_twin.model.row import Reading, Row

_BAD = 2
_LARGEST = 1e15
"""No SI value of a machine is larger; the squares of such values still fit into a float."""


@dataclass(slots=True)
class Slot:
    """One open row."""

    values: dict[str, tuple[int, float]] = field(default_factory=dict)
    severity: int = 0
    arrived_us: int = 0
    trace: str = ""
    newest_us: int = 0

    def put(self, reading: Reading) -> None:
        """Keep the newest value per signal; of two with one time the first, unless corrected."""
        held = self.values.get(reading.name)
        if held is not None and (
            reading.observed_us < held[0]
            or (reading.observed_us == held[0] and not reading.correction)
        ):
            return
        self.values[reading.name] = (reading.observed_us, reading.value)
        self.severity = max(self.severity, reading.severity)
        self.arrived_us = max(self.arrived_us, reading.arrived_us)
        if reading.observed_us >= self.newest_us:
            self.newest_us = reading.observed_us
            self.trace = reading.trace or self.trace


@dataclass(slots=True)
class Alignment:
    """The open rows of one asset.

    A slot of `row_us` stays open until a reading is `lateness_us` beyond its end. What is decided
    depends on the order of readings within that time not at all, and on batches and clocks never.
    A reading for a closed row changes nothing.

    Attributes:
        context: Name of the operating mode: a late one is kept, for it may revise decisions.
        overtaken: Late readings of the context since this was last emptied; not saved.
        closed_us: Everything before this time is decided.
        newest_us: Newest observation of any signal.
        late: How many readings came for closed rows.
    """

    names: tuple[str, ...]
    row_us: int
    lateness_us: int
    context: str = ""
    closed_us: int = 0
    newest_us: int = 0
    late: int = 0
    slots: dict[int, Slot] = field(default_factory=dict)
    overtaken: list[Reading] = field(default_factory=list)

    def add(self, readings: Iterable[Reading]) -> list[Row]:
        """Take readings in the order of the stream; return the rows that they closed, in order."""
        rows: list[Row] = []
        row_us, lateness_us, slots = self.row_us, self.lateness_us, self.slots
        known = set(self.names)
        for reading in readings:
            if reading.name not in known:
                continue
            if reading.observed_us < self.closed_us:
                self.late += 1
                if reading.name == self.context and reading.severity < _BAD:
                    self.overtaken.append(reading)
                continue
            if reading.severity < _BAD and abs(reading.value) <= _LARGEST:
                slot = slots.get(reading.observed_us // row_us)
                if slot is None:
                    slot = slots[reading.observed_us // row_us] = Slot()
                slot.put(reading)
            if reading.observed_us > self.newest_us:
                self.newest_us = reading.observed_us
                ready_us = (self.newest_us - lateness_us) // row_us * row_us
                if ready_us > self.closed_us:
                    rows.extend(self._close(ready_us))
        return rows

    def _close(self, ready_us: int) -> list[Row]:
        """Close every slot that ends by `ready_us`."""
        self.closed_us = ready_us
        done = sorted(index for index in self.slots if (index + 1) * self.row_us <= ready_us)
        return [self._row(self.slots.pop(index)) for index in done]

    def _row(self, slot: Slot) -> Row:
        absent = (0, math.nan)
        return Row(
            t_us=slot.newest_us,
            values=tuple(slot.values.get(name, absent)[1] for name in self.names),
            severity=slot.severity,
            arrived_us=slot.arrived_us,
            trace=slot.trace,
        )
