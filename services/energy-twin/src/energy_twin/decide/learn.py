"""Learning a baseline from the first readings of a configuration."""

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from energy_twin.decide.digest import digest_of
from energy_twin.decide.steps import Inputs, Steps, hold_us, steps_of
from energy_twin.model.baseline import ConfigurationPeriod, Learned
from energy_twin.model.series import Role, Series, SignalUse, Times, Values

BLOCKS: Final = 20
RUNNING_RATIO: Final = 0.05
"""A reading counts as running when power and flow exceed this share of their median."""

MAX_AUTOCORRELATION: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """One entry per reading of flow: what was used and delivered while it held."""

    starts_us: Times
    ends_us: Times
    seconds: Values
    energy_j: Values
    volume_m3: Values

    def first(self, count: int) -> "_Samples":
        """Return the first ones."""
        return self.chosen(np.arange(min(count, self.seconds.size)))

    def chosen(self, index: Times) -> "_Samples":
        """Return some of them."""
        return _Samples(
            self.starts_us[index],
            self.ends_us[index],
            self.seconds[index],
            self.energy_j[index],
            self.volume_m3[index],
        )


def learn(inputs: Inputs, period: ConfigurationPeriod, *, readings: int) -> Learned | None:
    """Learn what volume costs, from the first readings of a configuration in which the pump runs.

    The specific energy is the ratio of energy to volume over those readings (ratio of sums, so that
    noise in single readings does not bias it). They are cut into BLOCKS blocks of equal count; the
    spread of the blocks' mean residual power P - e0 Q is what the flow does not explain. A positive
    lag-one autocorrelation of blocks lowers the number of independent ones. Readings that follow
    later, in order, do not change what was learned.

    Args:
        inputs: Readings of power (or current and voltage) and flow.
        period: The configuration's; readings outside it are left out.
        readings: Readings of flow to learn from; fewer teach nothing yet.

    Returns:
        None when there are not enough of them, or the pump delivers nothing.

    Source:
        Ratio estimator and its variance: W. G. Cochran, Sampling Techniques, 3rd edition, 1977,
        section 6.3. Effective sample size under first-order autocorrelation: D. S. Wilks,
        Statistical Methods in the Atmospheric Sciences, 3rd edition, 2011, equation 5.12.
    """
    steps = steps_of(inputs)
    if steps is None:
        return None
    told = _first_running(_samples(steps, *inputs[Role.FLOW], period), readings)
    if told is None:
        return None
    seconds, volume_m3 = told.seconds, float(told.volume_m3.sum())
    specific = float(told.energy_j.sum()) / volume_m3
    residuals = _block_means((told.energy_j - specific * told.volume_m3) / seconds, seconds)
    spread_w = float(np.std(residuals, ddof=1))
    effective = _effective(residuals)
    mean_flow = volume_m3 / float(seconds.sum())
    return Learned(
        specific_energy_j_per_m3=specific,
        standard_error_j_per_m3=spread_w / sqrt(effective) / mean_flow,
        residual_w=spread_w,
        block_s=float(seconds.sum()) / BLOCKS,
        effective_blocks=effective,
        readings=readings,
        from_us=int(told.starts_us[0]),
        to_us=int(told.ends_us[-1]),
        power_source=steps.source,
        inputs_digest=digest_of(
            told.starts_us, told.ends_us, told.seconds, told.energy_j, told.volume_m3
        ),
    )


def _samples(steps: Steps, use: SignalUse, flow: Series, period: ConfigurationPeriod) -> _Samples:
    """Return what was used and delivered while each reading of flow held, where that is settled."""
    inside = steps.within(period.from_us, min(period.to_us, steps.settled_us))
    if inside.starts_us.size == 0 or flow.size < 2:
        nothing = np.empty(0)
        return _Samples(nothing.astype(np.int64), nothing.astype(np.int64), *(nothing,) * 3)
    which = np.searchsorted(flow.times_us, inside.starts_us, side="right") - 1
    ends = np.minimum(flow.times_us[1:], flow.times_us[:-1] + hold_us(use))
    whole = np.zeros(flow.size, bool)
    whole[:-1] = (flow.times_us[:-1] >= period.from_us) & (ends <= steps.settled_us)
    kept = whole[which]
    which, seconds = which[kept], inside.seconds[kept]
    sums = [
        np.asarray(np.bincount(which, weights, flow.size), np.float64)
        for weights in (
            seconds,
            seconds * inside.power_w[kept],
            seconds * inside.flow_m3_per_s[kept],
        )
    ]
    index = np.flatnonzero(sums[0] > 0)
    seconds_of, energy_j, volume_m3 = (column[index] for column in sums)
    return _Samples(flow.times_us[index], ends[index], seconds_of, energy_j, volume_m3)


def _first_running(samples: _Samples, readings: int) -> _Samples | None:
    """Return the first `readings` samples in which the pump runs; looks no further than it must."""
    count = readings
    while count <= samples.seconds.size:
        running = np.flatnonzero(_running(samples.first(count)))
        if running.size >= readings:
            return samples.chosen(running[:readings])
        count += readings - running.size
    return None


def _running(samples: _Samples) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell in which samples the pump runs, against the median of those with any power."""
    power, flow = samples.energy_j / samples.seconds, samples.volume_m3 / samples.seconds
    on = (power > 0.0) & (flow > 0.0)
    if not on.any():
        return on
    return (
        on
        & (power > RUNNING_RATIO * float(np.median(power[on])))
        & (flow > RUNNING_RATIO * float(np.median(flow[on])))
    )


def _block_means(residual_w: Values, seconds: Values) -> Values:
    """Return the mean residual power of each of BLOCKS blocks of equal count."""
    bounds = np.linspace(0, residual_w.size, BLOCKS + 1).astype(np.int64)[:-1]
    energy = np.add.reduceat(residual_w * seconds, bounds)
    return np.asarray(energy / np.add.reduceat(seconds, bounds))


def _effective(means: Values) -> float:
    """Return how many independent blocks these are worth; never fewer than three."""
    centred = means - means.mean()
    power = float(centred @ centred)
    if power <= 0.0:
        return float(means.size)
    lag_one = float(centred[:-1] @ centred[1:]) / power
    lag_one = min(max(lag_one, 0.0), MAX_AUTOCORRELATION)
    return max(3.0, means.size * (1.0 - lag_one) / (1.0 + lag_one))
