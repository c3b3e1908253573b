"""Duplicate, correction or new: what a reading is to what the store holds."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.model.reading import MAX_INDEX, Bools, Codes, Floats, Indices, Ints, StoredKeys


class Fate(IntEnum):
    """What becomes of a reading that passed the checks."""

    NEW = 0  # nothing is stored at its key
    CORRECTION = 1  # another value is stored there; both are kept
    DUPLICATE = 2  # this value is stored there
    SELF = 3  # it is stored already: this very reading, delivered again


@dataclass(frozen=True, slots=True)
class Fates:
    """One fate per reading, and the place of each among the corrections of its key.

    Attributes:
        rank: 0 for the first version of a key kept from this batch, 1 for the next, and so on:
            `recorded_at` of a later version must be larger.
    """

    fate: npt.NDArray[np.uint8]
    rank: Ints

    @property
    def insert(self) -> Bools:
        """Which readings are not in the store yet and belong there."""
        insert: Bools = (self.fate == Fate.NEW) | (self.fate == Fate.CORRECTION)
        return insert

    @property
    def stored(self) -> Bools:
        """Which readings count as stored."""
        stored: Bools = self.fate != Fate.DUPLICATE
        return stored


_SHIFT: Final = MAX_INDEX.bit_length() - 1


def raw_key(raw_seq: Ints, raw_ix: Ints) -> Ints:
    """Return one integer per place in the raw stream."""
    return (raw_seq << _SHIFT) | raw_ix


def fates(
    *,
    signal_ix: Indices,
    observed_us: Ints,
    value: Floats,
    source_status: Codes,
    raw_seq: Ints,
    raw_ix: Ints,
    stored: StoredKeys,
) -> Fates:
    """Decide about a batch against what is stored at its keys.

    A key is (signal, observed_at); its versions are (value, source status). A version that is
    stored already, or stands earlier in the batch, makes a reading a duplicate; another version
    makes it a correction. So the outcome of a set of readings does not depend on how often or in
    which order they come. A stored row with the same place in the raw stream is the reading's own
    earlier self, redelivered after a crash: stored, and never inserted twice.

    Args:
        signal_ix: Signal of each reading, in the numbering that `stored` uses.
        observed_us: Source time.
        value: In the stored unit; finite.
        source_status: Status that the source stated.
        raw_seq: Sequence of the raw message.
        raw_ix: Place in it.
        stored: Every stored version of the keys in question; more does not harm.
    """
    count = len(signal_ix)
    fate = np.full(count, Fate.NEW, np.uint8)
    rank = np.zeros(count, np.int64)
    if count == 0:
        return Fates(fate, rank)
    own = np.zeros(count, bool)
    if len(stored):
        own = np.isin(raw_key(raw_seq, raw_ix), raw_key(stored.raw_seq, stored.raw_ix))
    fate[own] = Fate.SELF

    kept_before = len(stored)
    rest = np.flatnonzero(~own)
    order_of = np.concatenate([np.zeros(kept_before, np.int64), np.arange(1, len(rest) + 1)])
    signal = np.concatenate([stored.signal_ix, signal_ix[rest]])
    moment = np.concatenate([stored.observed_us, observed_us[rest]])
    # Plus zero: minus zero is the same reading as zero.
    version = np.concatenate([stored.value, value[rest]]) + 0.0
    bits = version.view(np.int64)
    status = np.concatenate([stored.source_status, source_status[rest]]).astype(np.int64)

    order = np.lexsort((order_of, status, bits, moment, signal))
    s, m, b, q = signal[order], moment[order], bits[order], status[order]
    new_key = np.ones(len(order), bool)
    new_key[1:] = (s[1:] != s[:-1]) | (m[1:] != m[:-1])
    new_version = new_key.copy()
    new_version[1:] |= (b[1:] != b[:-1]) | (q[1:] != q[:-1])
    is_new_reading = order_of[order] > 0

    key_number = np.cumsum(new_key) - 1
    keys = int(key_number[-1]) + 1
    has_stored = np.zeros(keys, bool)
    has_stored[key_number[~is_new_reading]] = True
    first_kept = np.full(keys, len(rest) + 1, np.int64)
    kept = is_new_reading & new_version
    np.minimum.at(first_kept, key_number[kept], order_of[order][kept])

    place = order_of[order]
    result = np.full(len(order), Fate.DUPLICATE, np.uint8)
    is_first = kept & (place == first_kept[key_number]) & ~has_stored[key_number]
    result[kept] = Fate.CORRECTION
    result[is_first] = Fate.NEW
    fate[rest[place[is_new_reading] - 1]] = result[is_new_reading]

    _rank_versions(rank, rest, kept, place, key_number)
    return Fates(fate, rank)


def _rank_versions(
    rank: Ints, rest: Indices, kept: Bools, place: Ints, key_number: Indices
) -> None:
    """Number the versions of each key that this batch keeps, in order of arrival."""
    places, keys = place[kept], key_number[kept]
    order = np.lexsort((places, keys))
    places, keys = places[order], keys[order]
    if len(keys) == 0:
        return
    starts = np.ones(len(keys), bool)
    starts[1:] = keys[1:] != keys[:-1]
    positions = np.arange(len(keys))
    first = np.maximum.accumulate(np.where(starts, positions, 0))
    rank[rest[places - 1]] = positions - first
