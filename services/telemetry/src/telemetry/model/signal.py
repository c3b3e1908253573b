"""Signals as the registry defines them, and the foreign names that lead to them."""

from dataclasses import dataclass
from typing import NamedTuple

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, SignalId, Tenant
from twinmesh_sdk.core.times import OPEN_US


class ForeignName(NamedTuple):
    """How a source names one signal; the tenant and source come from the subject."""

    tenant: str
    source: str
    device: str
    signal: str

    @property
    def local(self) -> str:
        """`device/signal`, as dictionaries of batches and quarantine rows have it."""
        return f"{self.device}/{self.signal}"


@dataclass(frozen=True, slots=True)
class Signal:
    """One definition of a signal, valid for a period of plant time.

    Attributes:
        unit: UCUM code of the stored SI unit.
        source_unit: UCUM code of what the source sends.
        range_min: Physical lower bound in the stored unit; minus infinity when open.
        range_max: Physical upper bound in the stored unit; infinity when open.
        cadence_s: Declared seconds between readings; 0 when none is declared.
        stuck_after: Repeats of one value that mean "stuck"; 0 means never.
        time_zone: Zone of the source's zone-less stamps; empty when it must state one in each.
        valid_from_us: Start of this definition's validity, UTC microseconds.
        valid_to_us: End of it, excluded.
    """

    tenant: Tenant
    asset_id: AssetId
    signal_id: SignalId
    name: str
    unit: str
    source_unit: str
    source: str
    device: str
    source_signal: str
    cadence_s: float = 0.0
    range_min: float = float("-inf")
    range_max: float = float("inf")
    stuck_after: int = 0
    time_zone: str = ""
    valid_from_us: int = 0
    valid_to_us: int = OPEN_US

    def __post_init__(self) -> None:
        """Refuse what no check could work with."""
        if not 0.0 <= self.cadence_s < float("inf"):
            raise InvalidInputError(f"cadence_s must be finite and >= 0, got {self.cadence_s}")
        if not self.range_min <= self.range_max:
            raise InvalidInputError("range_min must not exceed range_max")

    @property
    def foreign_name(self) -> ForeignName:
        """Its name at its source."""
        return ForeignName(self.tenant, self.source, self.device, self.source_signal)

    def valid_at(self, moment_us: int) -> bool:
        """Tell whether this definition holds at a plant time."""
        return self.valid_from_us <= moment_us < self.valid_to_us
