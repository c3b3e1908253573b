"""From raw readings to what is stored, published and quarantined: one batch, in two steps.

`screen` needs only the definitions; `settle` also what the store holds behind the watermarks.
"""

from dataclasses import dataclass, replace

import numpy as np

from telemetry.decide.checks import (
    REASONS,
    US,
    arrival_flags,
    range_status,
    refusals,
)
from telemetry.decide.dedupe import Fate, Fates, fates
from telemetry.decide.runs import along_signals
from telemetry.model.quarantine import Reason
from telemetry.model.reading import (
    Bools,
    Bytes,
    Flag,
    Floats,
    Indices,
    Ints,
    RawReadings,
    Readings,
    StoredKeys,
    Tail,
)
from telemetry.model.signal import Signal
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.units import conversion_of


@dataclass(frozen=True, slots=True)
class Refusal:
    """Readings that go to quarantine for one reason; positions in the raw readings."""

    reason: Reason
    positions: Indices
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Screened:
    """Readings that passed the checks of single readings, and those that did not."""

    candidates: Readings
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of the candidates.

    Attributes:
        insert: Readings to store, in event order per signal, `recorded_us` assigned.
        publish: Readings to publish, in event order per asset: what is inserted, and what was
            inserted before by an interrupted attempt at this batch.
        fate: Per candidate.
        tails: New newest readings, by identity number.
        recorded_us: Largest `recorded_at` handed out.
    """

    insert: Readings
    publish: Readings
    fate: Bytes
    tails: dict[int, Tail]
    recorded_us: int


def screen(
    raw: RawReadings,
    *,
    signals: tuple[Signal, ...],
    signal_ix: Indices,
    observed_us: Ints,
    tolerance_us: Ints,
    max_age_us: int,
) -> Screened:
    """Check resolved readings one by one, and bring them to SI units.

    Args:
        raw: Readings as they came, resolved ones only.
        signals: Definitions.
        signal_ix: Definition of each reading.
        observed_us: Source time in UTC, zones applied.
        tolerance_us: How far a stamp may run ahead of the plant's clock, per definition.
        max_age_us: How far a stamp may lie behind it.
    """
    scale, offset, convertible, details = _conversions(signals)
    reason = refusals(
        value=raw.value,
        observed_us=observed_us,
        arrived_us=raw.arrived_us,
        tolerance_us=tolerance_us[signal_ix],
        max_age_us=max_age_us,
    )
    refused = [
        Refusal(why, np.flatnonzero(reason == code))
        for code, why in enumerate(REASONS)
        if why is not None
    ]
    no_unit = ~convertible[signal_ix] if len(raw) else np.zeros(0, bool)
    for number, detail in details.items():
        positions = np.flatnonzero((signal_ix == number) & (reason == 0))
        refused.append(Refusal(Reason.UNKNOWN_UNIT, positions, detail))
    keep = np.flatnonzero((reason == 0) & ~no_unit)
    kept, kept_ix = raw.take(keep), signal_ix[keep]
    with np.errstate(over="ignore", invalid="ignore"):
        value = kept.value * scale[kept_ix] + offset[kept_ix]
    finite = np.isfinite(value)
    if not finite.all():
        refused.append(
            Refusal(Reason.NOT_A_NUMBER, keep[~finite], "infinite once in the stored unit")
        )
        keep, kept, kept_ix = keep[finite], kept.take(finite), kept_ix[finite]
        value = value[finite]
    status = range_status(
        value=value,
        source_status=kept.source_status,
        range_min=_column(signals, "range_min")[kept_ix],
        range_max=_column(signals, "range_max")[kept_ix],
    )
    zeros = np.zeros(len(kept), np.int64)
    candidates = Readings(
        signals=signals,
        signal_ix=kept_ix,
        observed_us=observed_us[keep],
        value=value,
        status=status,
        source_status=kept.source_status,
        flags=np.zeros(len(kept), np.uint8),
        sequence=kept.sequence,
        arrived_us=kept.arrived_us,
        advanced_us=observed_us[keep],
        repeats=zeros,
        recorded_us=zeros,
        raw_seq=kept.raw_seq,
        raw_ix=kept.raw_ix,
        replay_ix=kept.replay_ix,
    )
    return Screened(candidates, tuple(r for r in refused if len(r.positions)))


def behind_watermark(candidates: Readings, identity: Indices, tails: dict[int, Tail]) -> Bools:
    """Return which candidates lie at or behind the newest stored reading of their signal.

    Args:
        candidates: Readings.
        identity: Identity number of each definition: two definitions of one signal share it.
        tails: Newest stored reading by identity number.
    """
    watermark = np.full(int(identity.max(initial=-1)) + 1, np.iinfo(np.int64).min)
    for number, tail in tails.items():
        watermark[number] = tail.observed_us
    behind: Bools = candidates.observed_us <= watermark[identity[candidates.signal_ix]]
    return behind


def settle(
    candidates: Readings,
    *,
    identity: Indices,
    tails: dict[int, Tail],
    stored: StoredKeys,
    recorded_us: int,
) -> Settled:
    """Decide what each candidate is to the store, and judge the readings along their signals.

    Args:
        candidates: What passed `screen`.
        identity: Identity number of each definition.
        tails: Newest stored reading by identity number; none for a signal without readings.
        stored: Stored versions of the keys behind the watermarks; `signal_ix` are identities.
        recorded_us: The smallest `recorded_at` that may be handed out.
    """
    number = identity[candidates.signal_ix]
    decided = fates(
        signal_ix=number,
        observed_us=candidates.observed_us,
        value=candidates.value,
        source_status=candidates.source_status,
        raw_seq=candidates.raw_seq,
        raw_ix=candidates.raw_ix,
        stored=stored,
    )
    behind = behind_watermark(candidates, identity, tails)
    judged = _judged_along(candidates, number, decided, behind, tails)
    recorded = recorded_us + decided.rank
    judged = replace(judged, flags=_flags(judged, decided, behind), recorded_us=recorded)

    inserted = np.flatnonzero(decided.insert)
    inserted = inserted[
        np.lexsort((recorded[inserted], judged.observed_us[inserted], number[inserted]))
    ]
    published = np.flatnonzero(decided.stored)
    published = published[np.argsort(judged.observed_us[published], kind="stable")]
    return Settled(
        insert=judged.take(inserted),
        publish=judged.take(published),
        fate=decided.fate,
        tails=_new_tails(judged, number, inserted, tails),
        recorded_us=int(recorded.max(initial=recorded_us)),
    )


def _conversions(
    signals: tuple[Signal, ...],
) -> tuple[Floats, Floats, Bools, dict[int, str]]:
    """Return scale and offset per definition, which have one, and why the others have none."""
    scale = np.ones(len(signals))
    offset = np.zeros(len(signals))
    details: dict[int, str] = {}
    for number, signal in enumerate(signals):
        if signal.source_unit in {signal.unit, ""}:
            continue
        try:
            line = conversion_of(signal.source_unit, signal.unit)
        except InvalidInputError as error:
            details[number] = str(error)
        else:
            scale[number], offset[number] = line.scale, line.offset
    convertible = np.array([number not in details for number in range(len(signals))], bool)
    return scale, offset, convertible, details


def _column(signals: tuple[Signal, ...], name: str) -> Floats:
    return np.array([getattr(signal, name) for signal in signals], np.float64)


def _judged_along(
    candidates: Readings, number: Indices, decided: Fates, behind: Bools, tails: dict[int, Tail]
) -> Readings:
    """Apply the in-order checks to what continues its signal; leave the rest as it is.

    Of several versions of one key the first continues the signal.
    """
    forward = np.flatnonzero((decided.fate == Fate.NEW) & ~behind)
    order = forward[np.lexsort((candidates.observed_us[forward], number[forward]))]
    stuck_after = np.array([s.stuck_after for s in candidates.signals], np.int64)
    run = along_signals(
        signal_ix=number[order],
        observed_us=candidates.observed_us[order],
        value=candidates.value[order],
        sequence=candidates.sequence[order],
        status=candidates.status[order],
        stuck_after=stuck_after[candidates.signal_ix[order]],
        tails=tails,
    )
    status, repeats = candidates.status.copy(), candidates.repeats.copy()
    advanced = candidates.advanced_us.copy()
    status[order], repeats[order], advanced[order] = run.status, run.repeats, run.advanced_us
    return replace(candidates, status=status, repeats=repeats, advanced_us=advanced)


def _flags(judged: Readings, decided: Fates, behind: Bools) -> Bytes:
    cadence_us = (_column(judged.signals, "cadence_s") * US).astype(np.int64)
    flags = arrival_flags(
        observed_us=judged.observed_us,
        arrived_us=judged.arrived_us,
        cadence_us=cadence_us[judged.signal_ix],
        behind=behind & (decided.fate != Fate.SELF),
    )
    flags[decided.fate == Fate.CORRECTION] |= np.uint8(Flag.CORRECTION)
    return flags


def _new_tails(
    judged: Readings, number: Indices, inserted: Indices, tails: dict[int, Tail]
) -> dict[int, Tail]:
    """Return the newest readings after the insert; a correction of the newest one replaces it."""
    new: dict[int, Tail] = {}
    if len(inserted) == 0:
        return new
    last = np.ones(len(inserted), bool)
    last[:-1] = number[inserted][1:] != number[inserted][:-1]
    for position in inserted[last]:
        key = int(number[position])
        tail = tails.get(key)
        observed_us = int(judged.observed_us[position])
        if tail is not None and observed_us < tail.observed_us:
            continue
        new[key] = Tail(
            observed_us=observed_us,
            value=float(judged.value[position]),
            sequence=int(judged.sequence[position]),
            advanced_us=int(judged.advanced_us[position]),
            repeats=int(judged.repeats[position]),
        )
    return new
