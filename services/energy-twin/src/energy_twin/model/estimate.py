"""What is said about a window: wasted energy, meter totals."""

from dataclasses import dataclass

from energy_twin.model.baseline import HeldBaseline
from energy_twin.model.series import SignalUse
from twinmesh_sdk.core.ids import AssetId
from twinmesh_sdk.core.trust import Trust


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of plant time of one asset; starts are included, ends are not."""

    asset_id: AssetId
    from_us: int
    to_us: int

    @property
    def length_s(self) -> float:
        """Length in seconds."""
        return (self.to_us - self.from_us) / 1e6


@dataclass(frozen=True, slots=True)
class Waste:
    """Energy that a pump used beyond its baseline for the volume that it delivered.

    Attributes:
        wasted_j: Negative when it used less than the baseline.
        lo90_j: With hi90_j a 90 % interval around wasted_j.
        covered_s: Time for which power, flow and a baseline are known.
        uncertain_s: Part of that time in which a reading was Uncertain.
        inputs_digest: Of the readings that it rests on.
    """

    actual_j: float = 0.0
    expected_j: float = 0.0
    volume_m3: float = 0.0
    variance_j2: float = 0.0
    half_width_j: float = 0.0
    covered_s: float = 0.0
    uncertain_s: float = 0.0
    inputs_digest: str = ""

    @property
    def wasted_j(self) -> float:
        """Actual less expected energy."""
        return self.actual_j - self.expected_j

    @property
    def lo90_j(self) -> float:
        """Lower end of the interval."""
        return self.wasted_j - self.half_width_j

    @property
    def hi90_j(self) -> float:
        """Upper end of the interval."""
        return self.wasted_j + self.half_width_j


@dataclass(frozen=True, slots=True)
class WasteEstimate:
    """The answer about one window.

    Attributes:
        waste: None when there is no baseline, or no reading.
        baselines: Those that were applied, by valid time.
    """

    window: Window
    waste: Waste | None
    covered_ratio: float
    baselines: tuple[HeldBaseline, ...]
    trust: Trust


@dataclass(frozen=True, slots=True)
class MeterDay:
    """Energy that one meter counted in one local day.

    Attributes:
        date: ISO 8601, local.
    """

    asset_id: AssetId
    use: SignalUse
    date: str
    time_zone: str
    from_us: int
    to_us: int
    energy_j: float
    covered_ratio: float
    trust: Trust
