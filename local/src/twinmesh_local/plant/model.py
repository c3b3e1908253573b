"""What a plant is made of, before the mesh knows it: assets, signals, configurations, readings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from twinmesh_sdk.core.errors import InvalidInputError

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
SYSTEM: Final = "plant"
"""The naming system of the plant's own tag numbers: the alias system that the import assigns."""

COMMISSIONED_US: Final = 946_684_800_000_000
"""2000-01-01: since when assets, names and signals are valid, unless a recording is older."""

Stamps = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def usual_step_s(stamps: Stamps) -> float:
    """Return the median of the positive steps between stamps, in seconds; 1 where there is none."""
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    return float(np.median(steps)) / 1e6 if steps.size else 1.0


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """A signal as its source sends it.

    Attributes:
        name: On its asset, for example `flow`.
        source_unit: UCUM code of what is sent; `unit` is the SI one that is stored.
        range_min: In the stored unit, as `range_max`; None is unbounded.
        time_zone: Of zone-less stamps; empty where every stamp says its zone.
        kind: `gauge`, `counter` or `state`.
        stuck_after: Repeats of one value that mean a stuck sensor; 0 never.
    """

    name: str
    source_signal: str
    source_unit: str
    unit: str
    cadence_s: float
    range_min: float | None = None
    range_max: float | None = None
    time_zone: str = ""
    kind: str = "gauge"
    stuck_after: int = 0

    def __post_init__(self) -> None:
        """Refuse what could be no part of a topic."""
        for token in (self.name, self.source_signal):
            if not TOKEN.fullmatch(token):
                raise InvalidInputError(f"{token[:80]!r} is no signal name")
        if not 0.0 < self.cadence_s < 1e9:
            raise InvalidInputError(f"{self.name}: cadence {self.cadence_s} s is no cadence")


@dataclass(frozen=True, slots=True)
class AssetSpec:
    """An asset with its signals; `source` and `device` are how its readings are addressed."""

    name: str
    asset_class: str
    source: str = ""
    device: str = ""
    signals: tuple[SignalSpec, ...] = ()
    located_in: str = ""
    part_of: str = ""

    def __post_init__(self) -> None:
        """Refuse what could be no part of a topic."""
        for token in (self.name, *filter(None, (self.source, self.device))):
            if not TOKEN.fullmatch(token):
                raise InvalidInputError(f"{token[:80]!r} is no name of an asset, source or device")
        if self.signals and not (self.source and self.device):
            raise InvalidInputError(f"{self.name} has signals, so it needs a source and a device")


@dataclass(frozen=True, slots=True)
class ConfigurationSpec:
    """A configuration version of an asset, from a time on."""

    asset: str
    label: str
    valid_from_us: int
    attributes: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlantSpec:
    """What the import door is told."""

    assets: tuple[AssetSpec, ...] = ()
    configurations: tuple[ConfigurationSpec, ...] = ()
    valid_from_us: int = COMMISSIONED_US

    def __add__(self, other: "PlantSpec") -> "PlantSpec":
        """Return both plants as one; assets that both name appear once."""
        known = {asset.name for asset in self.assets}
        fresh = tuple(asset for asset in other.assets if asset.name not in known)
        return PlantSpec(
            assets=self.assets + fresh,
            configurations=self.configurations + other.configurations,
            valid_from_us=min(self.valid_from_us, other.valid_from_us),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Rows of one device in the order in which they are sent.

    Attributes:
        stamps: UTC microseconds, never falling.
        values: One row per stamp, one column per signal of `signals`; NaN is not sent.
        zoned: Whether the stamps are sent with their zone.
    """

    source: str
    device: str
    signals: tuple[str, ...]
    stamps: Stamps
    values: Values
    zoned: bool
    first_sequence: int = 0

    def __post_init__(self) -> None:
        """Refuse tables that do not fit, and rows out of order."""
        if self.values.shape != (self.stamps.size, len(self.signals)):
            raise InvalidInputError(f"{self.device}: values do not fit stamps and signals")
        if self.stamps.size and bool(np.any(np.diff(self.stamps) < 0)):
            raise InvalidInputError(f"{self.device}: stamps fall")

    @property
    def cadence_s(self) -> float:
        """The usual time between rows; 1 s for a single one."""
        return usual_step_s(self.stamps)

    @property
    def readings(self) -> int:
        """How many values there are to send."""
        return int(np.count_nonzero(np.isfinite(self.values)))


class DeviceFeed(Protocol):
    """A connection of one source, on which its devices publish one reading at a time."""

    async def publish(self, device: str, signal: str, payload: bytes) -> None:
        """Send one reading; waits while too many are unacknowledged."""
        ...

    def acknowledged(self) -> bool:
        """Tell whether everything published before the last tail has surely arrived."""
        ...

    async def settle(self) -> None:
        """Wait until everything published is acknowledged and the tail has passed."""
        ...
