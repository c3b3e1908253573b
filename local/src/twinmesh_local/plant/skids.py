"""Recorded pump skids: which runs a folder holds, and on which skid each is replayed.

Each folder under `skab/` is one skid, each file in it one run, each run one configuration version
from its first stamp on. Runs of one folder that overlap in time get further skids: a skid does one
thing at a time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinmesh_local.plant import roles
from twinmesh_local.plant.model import (
    COMMISSIONED_US,
    AssetSpec,
    ConfigurationSpec,
    PlantSpec,
    SignalSpec,
    Track,
)
from twinmesh_local.plant.tables import Table, read_table
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

FOLDER: Final = "skab"
SITE: Final = "REC-SITE"
FIRST_NUMBER: Final = 101
MAX_SKIDS: Final = 700
MAX_RUNS: Final = 5_000
SUFFIXES: Final = (".csv", ".csv.gz")


@dataclass(frozen=True, slots=True)
class Run:
    """One recorded file: a stretch of a skid's life in one configuration.

    Attributes:
        label: Its path relative to the recordings, for example `skab/valve1/0.csv`.
    """

    label: str
    group: str
    table: Table

    @property
    def start_us(self) -> int:
        """The first stamp."""
        return int(self.table.stamps[0])

    @property
    def end_us(self) -> int:
        """The last stamp."""
        return int(self.table.stamps[-1])


@dataclass(frozen=True, slots=True)
class Skid:
    """One pump skid with its runs in order of time."""

    name: str
    source: str
    runs: tuple[Run, ...]


def run_files(data: Path) -> dict[str, list[Path]]:
    """Return the recorded files by folder, each list sorted; no folder, no skids.

    Raises:
        LimitExceededError: There are more than we replay.
    """
    root = data / FOLDER
    found: dict[str, list[Path]] = {}
    if not root.is_dir():
        return found
    files = sorted(p for p in root.rglob("*.csv*") if p.is_file() and p.name.endswith(SUFFIXES))
    if len(files) > MAX_RUNS:
        raise LimitExceededError(f"{root}: more than {MAX_RUNS} runs")
    for path in files:
        found.setdefault(path.parent.relative_to(data).as_posix(), []).append(path)
    return found


def read_runs(data: Path) -> tuple[list[Run], list[str]]:
    """Return every readable run, and a sentence about each file that is none."""
    runs, refused = [], []
    for group, paths in run_files(data).items():
        for path in paths:
            label = path.relative_to(data).as_posix()
            try:
                runs.append(Run(label=label, group=group, table=read_table(path)))
            except (InvalidInputError, LimitExceededError) as error:
                refused.append(f"{label}: {error}")
    return runs, refused


def lay_out(runs: list[Run]) -> list[Skid]:
    """Place runs on skids and name them.

    Folders in order of the number of their files, largest first, then by name, become P-101, P-102,
    and so on; the further skids of overlapping runs follow after them. Nothing else matters.

    Raises:
        LimitExceededError: There are more skids than numbers.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.group, []).append(run)
    order = sorted(groups, key=lambda name: (-len(groups[name]), name))
    primary: list[tuple[int, list[Run]]] = []
    further: list[tuple[int, list[Run]]] = []
    for rig, name in enumerate(order, 1):
        first, *rest = _without_overlap(groups[name])
        primary.append((rig, first))
        further += [(rig, lane) for lane in rest]
    lanes = primary + further
    if len(lanes) > MAX_SKIDS:
        raise LimitExceededError(f"the recordings need more than {MAX_SKIDS} skids")
    return [
        Skid(name=f"P-{FIRST_NUMBER + i}", source=f"rig-{rig}", runs=tuple(lane))
        for i, (rig, lane) in enumerate(lanes)
    ]


def _without_overlap(runs: list[Run]) -> list[list[Run]]:
    """Return as few sequences as needed, each without two runs at one time (greedy by start)."""
    lanes: list[list[Run]] = []
    for run in sorted(runs, key=lambda each: (each.start_us, each.label)):
        free = next((lane for lane in lanes if lane[-1].end_us < run.start_us), None)
        if free is None:
            lanes.append([run])
        else:
            free.append(run)
    return lanes


def signals_of(skid: Skid) -> tuple[SignalSpec, ...]:
    """Return the skid's signal definitions: the union of its runs' columns, each by its role."""
    cadences: dict[str, float] = {}
    for run in skid.runs:
        for header in run.table.headers:
            cadences[header] = max(cadences.get(header, 0.0), run.table.cadence_s)
    found: dict[str, SignalSpec] = {}
    for header, cadence_s in cadences.items():
        spec = _signal(header, cadence_s)
        if spec.name in {other.name for other in found.values()}:
            spec = _plain_signal(header, cadence_s)
        found.setdefault(spec.source_signal, spec)
    return tuple(found.values())


def _signal(header: str, cadence_s: float) -> SignalSpec:
    known = roles.find_role(header, roles.SKID_ROLES)
    if known is None:
        return _plain_signal(header, cadence_s)
    role, name = known
    return SignalSpec(
        name=name,
        source_signal=roles.token(header),
        source_unit=roles.unit_in(header) or role.source_unit,
        unit=role.unit,
        cadence_s=cadence_s,
        range_min=role.range_min,
        range_max=role.range_max,
        time_zone=roles.UTC_ZONE,
    )


def _plain_signal(header: str, cadence_s: float) -> SignalSpec:
    name = roles.token(header)
    return SignalSpec(name, name, "1", "1", cadence_s, time_zone=roles.UTC_ZONE)


def plant_of(skids: list[Skid]) -> PlantSpec:
    """Return skids, their signals and configuration versions, for the import door."""
    if not skids:
        return PlantSpec()
    site = AssetSpec(name=SITE, asset_class="site")
    lines = {
        skid.source: AssetSpec(name=skid.source, asset_class="line", located_in=SITE)
        for skid in skids
    }
    assets = [
        AssetSpec(
            name=skid.name,
            asset_class="pump",
            source=skid.source,
            device=skid.name,
            signals=signals_of(skid),
            part_of=skid.source,
        )
        for skid in skids
    ]
    configurations = [
        ConfigurationSpec(skid.name, run.label, run.start_us, {"recorded_as": run.label})
        for skid in skids
        for run in skid.runs
    ]
    earliest = min(run.start_us for skid in skids for run in skid.runs)
    return PlantSpec(
        assets=(site, *lines.values(), *assets),
        configurations=tuple(configurations),
        valid_from_us=min(COMMISSIONED_US, earliest),
    )


def track_of(skid: Skid, run: Run) -> Track:
    """Return a run's rows as its device sends them: foreign units, no labels."""
    earlier = sum(other.table.stamps.size for other in skid.runs if other.start_us < run.start_us)
    return Track(
        source=skid.source,
        device=skid.name,
        signals=tuple(roles.token(header) for header in run.table.headers),
        stamps=run.table.stamps,
        values=run.table.values,
        zoned=run.table.zoned,
        first_sequence=earlier,
    )
