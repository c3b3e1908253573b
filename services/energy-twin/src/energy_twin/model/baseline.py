"""The specific-energy baseline of one pump in one configuration."""

from dataclasses import dataclass
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant, derived_id
from twinmesh_sdk.core.times import OPEN_US

MODEL: Final = "specific-energy-baseline"
MODEL_VERSION: Final = "v1"
METHOD: Final = f"{MODEL}-{MODEL_VERSION}"
"""Actual energy less volume delivered x specific energy of the baseline; see the reference."""


@dataclass(frozen=True, slots=True)
class ConfigurationPeriod:
    """One configuration version active without a break; an empty id where there is none."""

    configuration_id: str
    from_us: int
    to_us: int = OPEN_US


@dataclass(frozen=True, slots=True)
class Learned:
    """What the first readings of a configuration teach.

    Attributes:
        specific_energy_j_per_m3: Energy per volume delivered, > 0.
        standard_error_j_per_m3: One standard deviation of that mean, >= 0.
        residual_w: Power that the flow does not explain: one standard deviation of block means.
        block_s: Length of a block, > 0.
        effective_blocks: Independent blocks, after correction for autocorrelation, > 2.
        readings: Readings of flow that it was learned from.
        power_source: `power`, or `current*voltage`.
        inputs_digest: Of those readings; empty for one that was learned before digests were kept.
    """

    specific_energy_j_per_m3: float
    standard_error_j_per_m3: float
    residual_w: float
    block_s: float
    effective_blocks: float
    readings: int
    from_us: int
    to_us: int
    power_source: str
    inputs_digest: str = ""

    def __post_init__(self) -> None:
        """Refuse what no pump could have."""
        if not 0.0 < self.specific_energy_j_per_m3 < float("inf"):
            raise InvalidInputError("specific energy must be positive and finite")
        if not (
            0.0 <= self.standard_error_j_per_m3 < float("inf")
            and 0.0 <= self.residual_w < float("inf")
        ):
            raise InvalidInputError("deviations must be finite and >= 0")
        if not (self.block_s > 0.0 and self.effective_blocks > 2.0 and self.from_us < self.to_us):
            raise InvalidInputError("a baseline needs several blocks of some length")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was learned, and for when it holds."""

    tenant: Tenant
    asset_id: AssetId
    period: ConfigurationPeriod
    learned: Learned

    @property
    def baseline_id(self) -> str:
        """The same for the same content, in every process and for ever."""
        told = self.learned
        return derived_id(
            "bsl",
            self.tenant,
            self.asset_id,
            self.period.configuration_id,
            self.period.from_us,
            told.from_us,
            told.to_us,
            told.readings,
            f"{told.specific_energy_j_per_m3:.12e}",
            told.power_source,
        )


@dataclass(frozen=True, slots=True)
class HeldBaseline:
    """A baseline with the wall times between which it was held true."""

    baseline: Baseline
    recorded_from_us: int
    recorded_to_us: int = OPEN_US
