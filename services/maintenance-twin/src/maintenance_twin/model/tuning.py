"""The constants of the condition model, with the reason for each."""

from dataclasses import dataclass
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tuning:
    """One set of constants for every asset; nothing is fitted to a recording.

    Attributes:
        baseline_rows: Aligned rows of a configuration that teach what is healthy.
        level_s: Time constant of the level (EWMA) that is charted. 30 s averages the noise of some
            ten independent samples at 1 Hz and still follows a valve that closes in a minute.
        reference_s: Time constant of the reference that follows the healthy level's drift: thirty
            times slower than the level, so that a fault cannot hide in it before it is noticed.
        false_alarm_probability: Of one chart point, under health. With one independent point per
            two time constants (a minute), 1e-3 is one false point in 17 hours; an item needs three
            in a row (k of n) which also matter: 1e-9 per minute, one in some centuries.
        persistence_s: Length of the window that must deviate.
        persistence_share: Share of its rows that must deviate: k of n.
        release_ratio: A deviating row stops deviating below this share of the limits (hysteresis).
        least_spread: Smallest change that matters, in spreads of single healthy rows. Where a
            signal is noisy around zero, a share of its mean means nothing; one spread is a large
            effect (Cohen's d above 0.8).
        healthy_close_s: Healthy time after which an open item closes.
        settle_s: Time after a change of mode in which rows are not judged.
        gap_s: A longer gap in the rows ends what was building up.
        lateness_s: How long a row stays open for readings that overtook each other.
        slow_s: Time constant of the level that is held against acceptance tolerances.
        horizon_s: Horizon of the stated probability: the planner's review, four hours.
        mode_hold_s: How long an operating mode is believed without being repeated: the budget of
            the trip decision, or three of its cadences where it is sent more rarely.
    """

    baseline_rows: int = 400
    level_s: float = 30.0
    reference_s: float = 900.0
    false_alarm_probability: float = 1e-3
    persistence_s: float = 180.0
    persistence_share: float = 0.75
    release_ratio: float = 0.5
    least_spread: float = 1.0
    healthy_close_s: float = 120.0
    settle_s: float = 60.0
    gap_s: float = 600.0
    lateness_s: float = 5.0
    slow_s: float = 300.0
    horizon_s: float = 14_400.0
    mode_hold_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse constants with which the model cannot work."""
        if not 50 <= self.baseline_rows <= 100_000:
            raise InvalidInputError(
                f"baseline_rows must be 50 to 100,000, got {self.baseline_rows}"
            )
        if not 0 < self.level_s < self.slow_s <= self.reference_s:
            raise InvalidInputError("need 0 < level_s < slow_s <= reference_s")
        if not 0 < self.false_alarm_probability < 0.5:
            raise InvalidInputError("false_alarm_probability must lie between 0 and 0.5")
        if not 0 < self.release_ratio <= 1 or not 0.5 < self.persistence_share <= 1:
            raise InvalidInputError("release_ratio in (0, 1], persistence_share in (0.5, 1]")

    def window_rows(self, row_us: int) -> int:
        """Return n of k of n: the persistence window in rows, at least 12."""
        return max(12, round(self.persistence_s * US / row_us))

    def needed_rows(self, row_us: int) -> int:
        """Return k of k of n, rounded up."""
        return -int(-self.persistence_share * self.window_rows(row_us) // 1)


MODEL_NAME: Final = "pump-condition"
"""The name under which governance releases this model."""

DEFAULT: Final = Tuning()
