"""Checks along a signal: the sensor is stuck, or its gateway repeats itself under new stamps."""

from dataclasses import dataclass

import numpy as np

from telemetry.model import quality
from telemetry.model.reading import NO_SEQUENCE, Bools, Codes, Floats, Indices, Ints, Tail

RESTAMPED_AFTER = 2
"""Repeats of one source sequence that give a re-stamping gateway away: within three cadences."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the in-order checks say, one element per reading.

    Attributes:
        status: Status code, made Uncertain where the run says so; never made better.
        repeats: How often the value has been the same in a row.
        advanced_us: Source time of the last reading whose sequence moved on.
    """

    status: Codes
    repeats: Ints
    advanced_us: Ints


def along_signals(
    *,
    signal_ix: Indices,
    observed_us: Ints,
    value: Floats,
    sequence: Ints,
    status: Codes,
    stuck_after: Ints,
    tails: dict[int, Tail],
) -> Run:
    """Judge readings that continue their signals, in event order.

    Args:
        signal_ix: Signal of each reading, sorted; within a signal `observed_us` ascends.
        observed_us: Source time.
        value: In the stored unit.
        sequence: The source's sequence number, -1 for none.
        status: Status so far.
        stuck_after: Per reading, its signal's repeats that mean "stuck"; 0 for never.
        tails: The newest stored reading by signal, where there is one.

    Returns:
        UncertainSensorNotAccurate from the `stuck_after`th repeat of a value on;
        UncertainLastUsableValue from the second repeat of a sequence number on, and then
        `advanced_us` stays behind, so that the value goes stale although stamps keep coming.
    """
    count = len(signal_ix)
    if count == 0:
        empty = np.empty(0, np.int64)
        return Run(status, empty, empty)
    starts = np.ones(count, bool)
    starts[1:] = signal_ix[1:] != signal_ix[:-1]

    same_value = np.zeros(count, bool)
    same_value[1:] = ~starts[1:] & (value[1:] == value[:-1])
    same_sequence = np.zeros(count, bool)
    same_sequence[1:] = (
        ~starts[1:] & (sequence[1:] != NO_SEQUENCE) & (sequence[1:] == sequence[:-1])
    )
    carried_repeats = np.zeros(count, np.int64)
    carried_advance = observed_us.copy()
    carried_restamps = np.zeros(count, np.int64)
    for position in np.flatnonzero(starts):
        tail = tails.get(int(signal_ix[position]))
        if tail is None:
            continue
        if tail.value == value[position]:
            same_value[position] = True
            carried_repeats[position] = tail.repeats + 1
        if sequence[position] != NO_SEQUENCE and tail.sequence == sequence[position]:
            same_sequence[position] = True
            carried_advance[position] = tail.advanced_us
            carried_restamps[position] = 1 + (tail.observed_us > tail.advanced_us)

    repeats = _run_lengths(same_value & ~starts, carried_repeats)
    advanced = _held(same_sequence & ~starts, carried_advance)
    restamps = _run_lengths(same_sequence & ~starts, carried_restamps)
    out = status.copy()
    usable = out < quality.UNCERTAIN
    stuck = usable & (stuck_after > 0) & (repeats >= stuck_after)
    out[stuck] = quality.UNCERTAIN_SENSOR_NOT_ACCURATE
    restamped = usable & same_sequence & (restamps >= RESTAMPED_AFTER)
    out[restamped] = quality.UNCERTAIN_LAST_USABLE_VALUE
    return Run(out, repeats, advanced)


def _run_lengths(continues: Bools, at_start: Ints) -> Ints:
    """Count up while `continues`; a run begins at the value that `at_start` has there."""
    positions = np.arange(len(continues))
    start = np.maximum.accumulate(np.where(continues, 0, positions))
    lengths: Ints = positions - start + at_start[start]
    return lengths


def _held(continues: Bools, at_start: Ints) -> Ints:
    """Hold the value that a run begins with while `continues`."""
    positions = np.arange(len(continues))
    start = np.maximum.accumulate(np.where(continues, 0, positions))
    held: Ints = at_start[start]
    return held
