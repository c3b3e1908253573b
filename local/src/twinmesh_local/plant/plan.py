"""The replay as a plan: which stretches of plant time are paced, and what is backfilled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from twinmesh_local.plant import meters, skids
from twinmesh_local.plant.model import AssetSpec, PlantSpec, Track

PACED_CADENCE_S: Final = 60.0
"""Up to this cadence a recording is paced by the plant clock; a coarser one is backfilled."""
JUMPED_GAP_US: Final = 600_000_000
"""A longer stretch without any row is jumped."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of plant time without a gap worth jumping, first and last row included."""

    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Recordings:
    """Everything a data folder holds, ready to be replayed.

    Attributes:
        paced: Device rows that follow the plant clock, in order of their first row.
        backfilled: Rows that enter in batches.
        notices: One sentence per file that is not replayed, or not in full.
    """

    plant: PlantSpec
    paced: tuple[Track, ...]
    backfilled: tuple[Track, ...]
    notices: tuple[str, ...] = ()

    @property
    def readings(self) -> int:
        """How many values are sent, each once."""
        return sum(track.readings for track in self.paced + self.backfilled)

    @property
    def mqtt_sources(self) -> tuple[str, ...]:
        """The sources whose devices publish over MQTT; each needs a credential of its own."""
        return tuple(dict.fromkeys(track.source for track in self.paced))

    @property
    def assets(self) -> tuple[AssetSpec, ...]:
        """The assets that have readings."""
        devices = {(t.source, t.device) for t in self.paced + self.backfilled}
        return tuple(a for a in self.plant.assets if (a.source, a.device) in devices)


def stretches(tracks: tuple[Track, ...]) -> list[Stretch]:
    """Return the stretches of plant time in which rows lie, in order.

    Rows of all devices count together: skids run concurrently, by plant time.
    """
    pieces: list[Stretch] = []
    for track in tracks:
        stamps = track.stamps
        breaks = np.flatnonzero(np.diff(stamps) > JUMPED_GAP_US)
        firsts = np.concatenate([[0], breaks + 1]) if stamps.size else np.empty(0, np.int64)
        lasts = np.concatenate([breaks, [stamps.size - 1]]) if stamps.size else firsts
        pieces += [
            Stretch(int(stamps[first]), int(stamps[last]))
            for first, last in zip(firsts, lasts, strict=True)
        ]
    return merged(pieces)


def merged(pieces: list[Stretch]) -> list[Stretch]:
    """Join stretches that overlap, or lie no further apart than a gap that is not jumped."""
    joined: list[Stretch] = []
    for piece in sorted(pieces, key=lambda each: (each.start_us, each.end_us)):
        if joined and piece.start_us - joined[-1].end_us <= JUMPED_GAP_US:
            last = joined.pop()
            piece = Stretch(last.start_us, max(last.end_us, piece.end_us))  # noqa: PLW2901
        joined.append(piece)
    return joined


def read_recordings(data: Path) -> Recordings:
    """Read a data folder of the layout of `docs/how-to/recordings.md`.

    Raises:
        LimitExceededError: It holds more than we replay.
    """
    runs, refused_runs = skids.read_runs(data)
    laid_out = skids.lay_out(runs)
    series, descriptions, refused_series = meters.read_series(data)
    tracks = [skids.track_of(skid, run) for skid in laid_out for run in skid.runs]
    tracks += [track for each in series for track in each.tracks()]
    paced = [track for track in tracks if track.cadence_s <= PACED_CADENCE_S]
    coarse = [track for track in tracks if track.cadence_s > PACED_CADENCE_S]
    notices = [*refused_runs, *refused_series]
    notices += [
        f"{label}: {table.unreadable} cells or rows are no numbers and are left out"
        for label, table in [(r.label, r.table) for r in runs]
        + [(s.label, s.table) for s in series]
        if table.unreadable
    ]
    return Recordings(
        plant=skids.plant_of(laid_out) + meters.plant_of(series, descriptions),
        paced=tuple(sorted(paced, key=lambda t: (int(t.stamps[0]), t.device))),
        backfilled=tuple(coarse),
        notices=tuple(notices),
    )
