"""What healthy looks like, for one asset, configuration version and operating mode."""

from dataclasses import dataclass

from maintenance_twin.model.signal import Role


@dataclass(frozen=True, slots=True)
class Track:
    """One signal of a baseline.

    Attributes:
        name: The signal's name on its asset.
        unit: UCUM code of the unit of all values here.
        mean: Healthy level over the baseline.
        spread: Standard deviation of single healthy rows around their drifting level.
        level_sd: Standard deviation of the charted level under health, autocorrelation included.
        drift_var_per_s: Variance that the healthy level's wandering adds per second.
        level: Charted level at the end of the baseline.
        reference: Drifting reference at the end of the baseline.
        charted: Whether it takes part in the T2 chart; it is watched in any case.
    """

    name: str
    unit: str
    role: Role
    mean: float
    spread: float
    level_sd: float
    drift_var_per_s: float
    level: float
    reference: float
    charted: bool


@dataclass(frozen=True, slots=True)
class Baseline:
    """A learned baseline; it never changes again.

    Attributes:
        whitening: Inverse of the lower Cholesky factor of the level's covariance, over the charted
            tracks in their order; a row per row of the factor, without the zeros.
        limit: T2 limit at the false alarm probability of the tuning.
        rows: Rows that taught it.
        effective_rows: What they are worth as independent rows.
        speed_mean: Level of the speed signal, None where the asset has none.
    """

    tracks: tuple[Track, ...]
    whitening: tuple[tuple[float, ...], ...]
    limit: float
    rows: int
    effective_rows: float
    from_us: int
    to_us: int
    speed_mean: float | None = None
    speed_spread: float = 0.0

    @property
    def charted(self) -> tuple[int, ...]:
        """Indices of the charted tracks."""
        return tuple(i for i, track in enumerate(self.tracks) if track.charted)
