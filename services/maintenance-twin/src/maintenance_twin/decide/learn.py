"""Learn a healthy baseline from the first rows of a configuration."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from maintenance_twin.decide.quantile import hotelling_limit
from maintenance_twin.model.baseline import Baseline, Track
from maintenance_twin.model.signal import CHARTED, WATCHED, Role, Signal
from maintenance_twin.model.tolerance import TOLERANCES
from maintenance_twin.model.tuning import US, Tuning

Array = npt.NDArray[np.float64]

_OUTLIER_SPREADS: Final = 4.0
_MAD_TO_SD: Final = 1.4826
_LEAST_PRESENT: Final = 0.25
_FLOOR_SHARE: Final = 0.1
_MEDIAN_OF_TWO: Final = math.log(2.0)
"""Median of a chi-square with 2 degrees of freedom over its mean."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The rows do not suffice to learn from.

    Attributes:
        missing: Names of mandatory signals that were hardly seen.
    """

    missing: tuple[str, ...]


def row_weight(step_s: float, time_constant_s: float) -> float:
    """Return the weight of a new row in an exponentially weighted mean."""
    return 1.0 - math.exp(-step_s / time_constant_s)


def _filled(values: Array) -> Array:
    """Carry the last value forward over missing ones, and the first one back."""
    present = np.flatnonzero(~np.isnan(values))
    index = np.searchsorted(present, np.arange(values.size), side="right") - 1
    return values[present[np.maximum(index, 0)]]


def _winsorised(values: Array) -> Array:
    """Pull outliers to four robust spreads, so that a spike teaches nothing."""
    median = np.median(values, axis=0)
    spread = _MAD_TO_SD * np.median(np.abs(values - median), axis=0)
    spread = np.where(spread > 0.0, spread, values.std(axis=0))
    return np.clip(values, median - _OUTLIER_SPREADS * spread, median + _OUTLIER_SPREADS * spread)


def _tracked(rows: Array, step_s: float, tuning: Tuning) -> tuple[Array, Array, Array]:
    """Run level and reference over the baseline.

    Returns:
        The deviations of the rows from the reference, the last level, the last reference.
    """
    warm = max(1, round(tuning.level_s / step_s))
    level = rows[:warm].mean(axis=0)
    reference = level.copy()
    fast, slow = row_weight(step_s, tuning.level_s), row_weight(step_s, tuning.reference_s)
    deviations = np.empty_like(rows)
    for index, row in enumerate(rows):
        level = level + fast * (row - level)
        reference = reference + max(slow, 1.0 / (index + 1 + warm)) * (row - reference)
        deviations[index] = row - reference
    return deviations - deviations.mean(axis=0), level, reference


def _level_covariance(deviations: Array, weight: float) -> tuple[Array, Array, Array]:
    """Return the covariance of the charted level under health, and what the rows are worth.

    Rows at 1 Hz are not independent; a limit that ignores it alarms many times too often. The
    variance of an EWMA of a stationary series is w/(2-w) times the sum of its autocovariances,
    discounted by (1-w) per lag; the mean of n rows has the long-run variance over n.

    Returns:
        Covariance of a single row, of the level, and what the estimate is worth per signal, in
        independent rows.

    Source:
        Newey and West, Econometrica 55 (1987): Bartlett weights keep the sum positive definite;
        lags up to a quarter of the rows. Priestley, Spectral Analysis and Time Series, 6.2.4: an
        estimate with lag weights w has 2 n / sum(w squared) degrees of freedom, some thirty for
        400 rows: so few slow swings fit into them.
    """
    rows = deviations.shape[0]
    lags = max(1, rows // 4)
    single = deviations.T @ deviations / rows
    level, long_run = single.copy(), single.copy()
    for lag in range(1, lags + 1):
        cross = deviations[lag:].T @ deviations[:-lag] / rows
        cross = (1.0 - lag / (lags + 1.0)) * (cross + cross.T)
        level += (1.0 - weight) ** lag * cross
        long_run += cross
    level *= weight / (2.0 - weight)
    own = np.diag(single)
    worth = rows * own / np.maximum(np.diag(long_run), np.finfo(float).tiny)
    discounts = 1.0 + 2.0 * sum(
        ((1.0 - lag / (lags + 1.0)) * (1.0 - weight) ** lag) ** 2 for lag in range(1, lags + 1)
    )
    return single, level + long_run / rows, np.clip(worth, 2.0, 2.0 * rows / discounts)


def _shrunk(covariance: Array, effective_rows: float) -> Array:
    """Shrink the correlations towards none, as far as few rows make advisable.

    Source:
        Chen, Wiesel, Eldar and Hero, IEEE Trans. Signal Processing 58 (2010): oracle approximating
        shrinkage, applied to the correlation matrix with the effective number of rows.
    """
    sd = np.sqrt(np.diag(covariance))
    scale = np.outer(sd, sd)
    correlation = covariance / scale
    p = correlation.shape[0]
    square = float((correlation**2).sum())
    above = (1.0 - 2.0 / p) * square + p * p
    below = (effective_rows + 1.0 - 2.0 / p) * (square - p)
    weight = 1.0 if below <= 0.0 else min(1.0, above / below)
    mixed: Array = ((1.0 - weight) * correlation + weight * np.eye(p)) * scale
    return mixed


def _drift_var_per_s(values: Array, step_s: float, tuning: Tuning) -> float:
    """Return how much variance the level's wandering adds per second.

    From the growth of the mean squared difference of block means between two lags: what does not
    grow with the lag is noise and cancels. The far lag holds two independent differences, so its
    mean square is chi-square with 2 degrees of freedom: half of the time below 0.69 of the truth,
    which is put right. A growth within the standard error of the near lag cannot be told from
    none, and counts as that much: a quiet baseline does not promise that nothing will ever wander.
    """
    block = max(1, round(tuning.level_s / step_s))
    count = values.size // block
    if count < 4:
        return 0.0
    means = values[: count * block].reshape(count, block).mean(axis=1)
    far = max(2, count // 2)
    near_square = float(np.mean((means[1:] - means[:-1]) ** 2))
    far_square = float(np.mean((means[far:] - means[:-far]) ** 2))
    growth = max(
        far_square / _MEDIAN_OF_TWO - near_square, near_square * math.sqrt(2.0 / (count - 1))
    )
    return growth / ((far - 1) * block * step_s)


def _floor_sd(role: Role, mean: float) -> float:
    """Return the smallest spread we believe: a tenth of what an instrument resolves."""
    tolerance = TOLERANCES[role]
    share = tolerance.resolvable_ratio * abs(mean)
    return max(_FLOOR_SHARE * max(share, 0.01 * tolerance.acceptable), 1e-12)


def learn_baseline(
    times_us: npt.NDArray[np.int64],
    columns: dict[str, Array],
    signals: tuple[Signal, ...],
    row_us: int,
    tuning: Tuning,
) -> Baseline | NotYet:
    """Learn what healthy looks like.

    Args:
        times_us: Row times, ascending.
        columns: Values per signal name, NaN where a row has none.
        signals: The asset's signals; those not watched, or hardly seen, are left out.
        row_us: Nominal width of a row.
        tuning: The constants.

    Returns:
        The baseline, or NotYet naming what is missing.
    """
    seen = [
        s
        for s in signals
        if s.role in WATCHED
        and s.name in columns
        and np.count_nonzero(~np.isnan(columns[s.name]))
        >= _LEAST_PRESENT * times_us.size * min(1.0, row_us / (s.cadence_s * US))
    ]
    lost = tuple(
        s.name for s in signals if s.mandatory and s.role is not Role.MODE and s not in seen
    )
    charted = [s for s in seen if s.role in CHARTED]
    if lost or not charted or times_us.size < 2:
        return NotYet(missing=lost)
    step_s = row_us / US
    raw = np.column_stack([_filled(columns[s.name]) for s in seen])
    rows = _winsorised(raw)
    deviations, level, reference = _tracked(rows, step_s, tuning)
    single, charting, worth = _level_covariance(deviations, row_weight(step_s, tuning.level_s))
    means = rows.mean(axis=0)
    floors = np.array([_floor_sd(s.role, float(m)) for s, m in zip(seen, means, strict=True)])
    for index, floor in enumerate(floors):
        charting[index, index] = max(charting[index, index], floor**2)
    spreads = np.maximum(np.sqrt(np.diag(single)), floors)
    chosen = [index for index, s in enumerate(seen) if s.role in CHARTED]
    # The least known signal decides how far the limit must be: better late than crying wolf.
    effective = max(float(worth[chosen].min()), len(chosen) + 2.0)
    covariance = _shrunk(charting[np.ix_(chosen, chosen)], effective)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    speed = next((columns[s.name] for s in signals if s.role is Role.SPEED), None)
    speed_known = speed is not None and bool(np.any(~np.isnan(speed)))
    return Baseline(
        tracks=tuple(
            Track(
                name=s.name,
                unit=s.unit,
                role=s.role,
                mean=float(means[i]),
                spread=float(spreads[i]),
                level_sd=math.sqrt(float(charting[i, i])),
                drift_var_per_s=_drift_var_per_s(rows[:, i], step_s, tuning),
                level=float(level[i]),
                reference=float(reference[i]),
                charted=s.role in CHARTED,
            )
            for i, s in enumerate(seen)
        ),
        whitening=tuple(tuple(float(v) for v in whitening[i, : i + 1]) for i in range(len(chosen))),
        limit=hotelling_limit(tuning.false_alarm_probability, len(chosen), effective),
        rows=int(times_us.size),
        effective_rows=effective,
        from_us=int(times_us[0]),
        to_us=int(times_us[-1]),
        speed_mean=float(np.nanmedian(speed)) if speed is not None and speed_known else None,
        speed_spread=float(np.nanstd(speed)) if speed is not None and speed_known else 0.0,
    )
