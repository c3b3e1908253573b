"""Recorded buildings: interval energy, weather and other site series, backfilled in batches.

Under `ucam/`, a table over time whose headers carry units in brackets is a station's (weather,
prices); any other one has a column per building, and its file's first word and unit say of which
quantity. A table without times describes buildings.
"""

import math
import re
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
from twinmesh_local.plant.skids import SUFFIXES
from twinmesh_local.plant.tables import Table, headers_of, read_rows, read_table, stamp_column
from twinmesh_sdk.core.errors import InvalidInputError, LimitExceededError

FOLDER: Final = "ucam"
SITE: Final = "ESTATE"
SOURCE: Final = "historian"
MAX_FILES: Final = 500
_WORDS: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Series:
    """One table over time and where its columns belong.

    Attributes:
        columns: Per value column the asset and its signal.
    """

    label: str
    table: Table
    columns: tuple[tuple[str, SignalSpec], ...]
    asset_class: str

    def tracks(self) -> list[Track]:
        """Return the rows by device."""
        devices: dict[str, list[int]] = {}
        for i, (asset, _) in enumerate(self.columns):
            devices.setdefault(asset, []).append(i)
        return [
            Track(
                source=SOURCE,
                device=asset,
                signals=tuple(self.columns[i][1].source_signal for i in positions),
                stamps=self.table.stamps,
                values=self.table.values[:, positions],
                zoned=self.table.zoned,
            )
            for asset, positions in devices.items()
        ]


def read_series(data: Path) -> tuple[list[Series], dict[str, dict[str, str | float]], list[str]]:
    """Return the tables over time, what describes each building, and the files that are neither."""
    root = data / FOLDER
    series: list[Series] = []
    descriptions: dict[str, dict[str, str | float]] = {}
    refused: list[str] = []
    if not root.is_dir():
        return series, descriptions, refused
    files = sorted(p for p in root.rglob("*.csv*") if p.is_file() and p.name.endswith(SUFFIXES))
    if len(files) > MAX_FILES:
        raise LimitExceededError(f"{root}: more than {MAX_FILES} files")
    for path in files:
        label = path.relative_to(data).as_posix()
        try:
            if stamp_column(headers_of(path)) is None:
                descriptions |= _descriptions(path)
            else:
                series.append(_series(label, path))
        except (InvalidInputError, LimitExceededError) as error:
            refused.append(f"{label}: {error}")
    return series, descriptions, refused


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _series(label: str, path: Path) -> Series:
    table = read_table(path)
    if any(roles.has_brackets(header) for header in table.headers):
        asset = roles.token(_stem(path))
        signals = [_site_signal(header, table.cadence_s) for header in table.headers]
        weather = any(spec.name == "air_temperature" for spec in signals)
        return Series(
            label, table, tuple((asset, spec) for spec in signals),
            "weather_station" if weather else "feed",
        )  # fmt: skip
    spec = meter_signal(_stem(path), table.cadence_s)
    columns = tuple((roles.token(header), spec) for header in table.headers)
    return Series(label, table, columns, "building")


def _site_signal(header: str, cadence_s: float) -> SignalSpec:
    known = roles.find_role(header, roles.WEATHER_ROLES)
    token = roles.token(roles.plain(header))
    if known is None:
        return SignalSpec(token, token, "1", "1", cadence_s, time_zone=roles.UTC_ZONE)
    role, name = known
    return SignalSpec(
        name, token, roles.unit_in(header) or role.source_unit, role.unit, cadence_s,
        role.range_min, role.range_max, roles.UTC_ZONE,
    )  # fmt: skip


def meter_signal(stem: str, cadence_s: float) -> SignalSpec:
    """Return the signal that a table named `stem` holds for each of its buildings.

    >>> meter_signal("electricity_kwh_2016_2021", 3600.0).source_unit
    'kW.h'
    """
    words = [word for word in _WORDS.split(stem) if word]
    quantity = words[0] if words else "unnamed"
    unit = next((roles.UNITS[w.lower()] for w in words[1:] if w.lower() in roles.UNITS), None)
    known = roles.find_role(quantity, roles.METER_ROLES)
    if known is None or unit is None:
        name = roles.token(quantity)
        return SignalSpec(name, name, "1", "1", cadence_s, time_zone=roles.UTC_ZONE)
    role, name = known
    return SignalSpec(
        name, roles.token(quantity), unit, role.unit, cadence_s,
        role.range_min, role.range_max, roles.UTC_ZONE,
    )  # fmt: skip


def _descriptions(path: Path) -> dict[str, dict[str, str | float]]:
    """Return what a table without times says, by the name in its first column."""
    found: dict[str, dict[str, str | float]] = {}
    for row in read_rows(path):
        name, *_ = row.values()
        found[roles.token(name)] = {
            roles.token(header): _value(cell) for header, cell in list(row.items())[1:16]
        }
    return found


def _value(cell: str) -> str | float:
    try:
        number = float(cell)
    except ValueError:
        return cell[:200]
    return number if math.isfinite(number) else cell[:200]


def plant_of(series: list[Series], descriptions: dict[str, dict[str, str | float]]) -> PlantSpec:
    """Return buildings and stations with their signals, for the import door."""
    if not series:
        return PlantSpec()
    signals: dict[str, dict[str, SignalSpec]] = {}
    classes: dict[str, str] = {}
    starts: dict[str, int] = {}
    for each in series:
        for asset, spec in each.columns:
            signals.setdefault(asset, {}).setdefault(spec.name, spec)
            classes.setdefault(asset, each.asset_class)
            starts[asset] = min(starts.get(asset, 2**62), int(each.table.stamps[0]))
    assets = [
        AssetSpec(
            name=name, asset_class=classes[name], source=SOURCE, device=name,
            signals=tuple(found.values()), located_in=SITE,
        )
        for name, found in signals.items()
    ]  # fmt: skip
    described = [
        ConfigurationSpec(name, "as described", starts[name], descriptions[name])
        for name in signals
        if name in descriptions
    ]
    return PlantSpec(
        assets=(AssetSpec(name=SITE, asset_class="site"), *assets),
        configurations=tuple(described),
        valid_from_us=min(COMMISSIONED_US, *starts.values()),
    )
