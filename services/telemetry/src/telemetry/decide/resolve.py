"""From foreign names to definitions that were valid when the reading was taken."""

from dataclasses import dataclass
from datetime import UTC
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from telemetry.decide.ingest import Refusal
from telemetry.model.quarantine import Reason
from telemetry.model.reading import Bools, Indices, Ints, RawReadings
from telemetry.model.signal import ForeignName, Signal
from twinmesh_sdk.core.times import from_us, to_us

UNRESOLVED: Final = -1


@dataclass(frozen=True, slots=True)
class Wanted:
    """A foreign name, and the span of source times at which a batch uses it."""

    name: ForeignName
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the directory knows of a name: its definitions in the span, and of its device."""

    definitions: tuple[Signal, ...]
    device_known: bool


@dataclass(frozen=True, slots=True)
class Assigned:
    """Readings with their definition, and those without.

    Attributes:
        positions: Which readings are resolved; the other arrays are about these.
        observed_us: Source time in UTC, declared zones applied.
    """

    signals: tuple[Signal, ...]
    positions: Indices
    signal_ix: Indices
    observed_us: Ints
    refusals: tuple[Refusal, ...]


def wanted(raw: RawReadings) -> list[Wanted]:
    """Return what has to be resolved, one per name of the dictionary."""
    count = len(raw.names)
    first = np.full(count, np.iinfo(np.int64).max)
    last = np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, raw.name_ix, raw.observed_us)
    np.maximum.at(last, raw.name_ix, raw.observed_us)
    return [
        Wanted(name, int(first[number]), int(last[number]))
        if first[number] <= last[number]
        else Wanted(name, 0, 0)
        for number, name in enumerate(raw.names)
    ]


def assign(raw: RawReadings, resolutions: list[Resolution]) -> Assigned:
    """Give each reading the definition of its name that was valid at its source time.

    Args:
        raw: Readings; a zone-less stamp is looked up as if it were UTC.
        resolutions: One per name of the dictionary.
    """
    signals: dict[Signal, int] = {}
    signal_ix = np.full(len(raw), UNRESOLVED, np.int64)
    whole = np.full(len(raw.names), UNRESOLVED, np.int64)
    split: list[int] = []
    spans = wanted(raw)
    for number, (span, resolution) in enumerate(zip(spans, resolutions, strict=True)):
        for one in resolution.definitions:
            if one.valid_at(span.first_us) and one.valid_at(span.last_us):
                whole[number] = signals.setdefault(one, len(signals))
                break
        else:
            if resolution.definitions:
                split.append(number)
    if len(raw):
        signal_ix = whole[raw.name_ix]
    for number in split:
        rows = np.flatnonzero(raw.name_ix == number)
        moments = raw.observed_us[rows]
        for one in resolutions[number].definitions:
            inside = (moments >= one.valid_from_us) & (moments < one.valid_to_us)
            if inside.any():
                signal_ix[rows[inside]] = signals.setdefault(one, len(signals))
    refusals = _unknown(raw, resolutions, signal_ix)
    known = tuple(signals)
    observed_us, zone_refusals, resolved = _zones(raw, known, signal_ix)
    positions = np.flatnonzero(resolved)
    return Assigned(
        signals=known,
        positions=positions,
        signal_ix=signal_ix[positions],
        observed_us=observed_us[positions],
        refusals=(*refusals, *zone_refusals),
    )


def _unknown(raw: RawReadings, resolutions: list[Resolution], signal_ix: Indices) -> list[Refusal]:
    """Return one refusal per name that has no definition at the times it was used."""
    missing = np.flatnonzero(signal_ix == UNRESOLVED)
    refusals: list[Refusal] = []
    names = raw.name_ix[missing]
    for number in np.unique(names):
        name, resolution = raw.names[int(number)], resolutions[int(number)]
        known = resolution.device_known or bool(resolution.definitions)
        detail = (
            f"device {name.device} of source {name.source} has no signal {name.signal} at that time"
            if known
            else f"source {name.source} has no device {name.device} at that time"
        )
        reason = Reason.UNKNOWN_SIGNAL if known else Reason.UNKNOWN_DEVICE
        refusals.append(Refusal(reason, missing[names == number], detail))
    return refusals


def _zones(
    raw: RawReadings, signals: tuple[Signal, ...], signal_ix: Indices
) -> tuple[Ints, list[Refusal], Bools]:
    """Bring zone-less stamps to UTC by the zone that the signal declares."""
    resolved = signal_ix != UNRESOLVED
    local = np.flatnonzero(raw.zoneless & resolved)
    if len(local) == 0:
        return raw.observed_us, [], resolved
    observed_us = raw.observed_us.copy()
    refused: list[int] = []
    for position in local:
        zone = _zone(signals[int(signal_ix[position])].time_zone)
        if zone is None:
            refused.append(int(position))
            continue
        naive = from_us(int(raw.observed_us[position])).replace(tzinfo=zone)
        observed_us[position] = to_us(naive.astimezone(UTC))
    positions = np.array(refused, np.int64)
    resolved[positions] = False
    refusals = [Refusal(Reason.NO_ZONE, positions, "the signal declares no time zone")]
    return observed_us, refusals if refused else [], resolved


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None
