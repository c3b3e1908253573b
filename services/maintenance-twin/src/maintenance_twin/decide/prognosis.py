"""State a probability: of what, by when, from what is known when an item opens."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from maintenance_twin.decide.quantile import normal_cdf
from maintenance_twin.model.work_item import Probability

EVENT: Final = "OUTSIDE_ACCEPTANCE"
"""A signal lies outside its acceptance tolerance (`model.tolerance`) at the horizon, if nothing is
done."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """One deviating signal, in its own unit.

    Attributes:
        deviation: Level minus healthy level.
        acceptable: Largest departure that acceptance tolerates, > 0.
        level_sd: Standard deviation of the level.
        drift_var_per_s: Variance that the healthy level's wandering adds per second.
        upward_only: Whether only an increase counts.
    """

    deviation: float
    acceptable: float
    level_sd: float
    drift_var_per_s: float
    upward_only: bool


def probability_of(outlooks: Iterable[Outlook], horizon_s: float) -> Probability:
    """Return the probability that a deviating signal is outside acceptance at the horizon.

    The level is carried forward as a random walk: it stays where it is, and its variance grows
    with the wandering that the baseline showed. Nothing says that a fault grows, so no trend is
    extrapolated. Signals count as independent; the value is uncalibrated, and says so.

    Source:
        Local level model (Durbin and Koopman, Time Series Analysis by State Space Methods, 2nd
        ed., 2.1): forecast variance P + H q.

    >>> far = Outlook(deviation=-9.0, acceptable=5.0, level_sd=1.0, drift_var_per_s=0.0,
    ...               upward_only=False)
    >>> probability_of([far], 14_400.0).value > 0.99
    True
    """
    inside = 1.0
    for outlook in outlooks:
        sd = math.sqrt(outlook.level_sd**2 + outlook.drift_var_per_s * horizon_s)
        outside = normal_cdf((outlook.deviation - outlook.acceptable) / sd)
        if not outlook.upward_only:
            outside += normal_cdf((-outlook.deviation - outlook.acceptable) / sd)
        inside *= 1.0 - min(1.0, outside)
    return Probability(value=1.0 - inside, event=EVENT, horizon_s=horizon_s)


def lead_time_s(*, deviation: float, slope_per_s: float, acceptable: float) -> float | None:
    """Return when a steadily growing deviation leaves acceptance; None where it does not grow.

    >>> lead_time_s(deviation=-2.0, slope_per_s=-0.01, acceptable=5.0)
    300.0
    """
    if deviation * slope_per_s <= 0.0 or abs(deviation) >= acceptable:
        return None
    return (acceptable - abs(deviation)) / abs(slope_per_s)
