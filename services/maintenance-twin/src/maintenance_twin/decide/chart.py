"""Chart one asset against its baseline, row by row.

The recursion is plain floating-point arithmetic over a handful of signals, one row after the other:
any split of the same rows into batches gives the same bits, and a row costs some microseconds.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from maintenance_twin.decide.learn import row_weight
from maintenance_twin.model.baseline import Baseline, Track
from maintenance_twin.model.tolerance import TOLERANCES
from maintenance_twin.model.tuning import US, Tuning

_CLIP_SPREADS: Final = 2.0
_LARGEST_STEP_ROWS: Final = 2.0
_HOLD_S: Final = 60.0
_BOUND_LIMITS: Final = 4.0
"""A row moves the charted level by at most this many limits, so that an upset of a minute, however
large, is gone from the chart a minute after it ended."""

_SPEED_SPREADS: Final = 5.0
_SPEED_SHARE: Final = 0.02


@dataclass(slots=True)
class ChartState:
    """Everything the chart remembers; saved with each batch.

    Mutable, for it is updated some hundred times a second; it never leaves its asset.

    Attributes:
        level: Level per track.
        bounded: The same of rows that are pulled to a few limits: what is charted.
        slow: Level that is held against acceptance tolerances.
        reference: Drifting healthy level; it stands still while rows deviate.
        updated_us: When each track last had a value.
        row: Number of the last row.
        last_us: Time of the last row.
        deviating: Whether the last row deviated.
        flagged: Row number and time of each deviating row in the window.
        healthy_s: How long an open item has seen healthy rows only.
    """

    level: list[float]
    bounded: list[float]
    slow: list[float]
    reference: list[float]
    updated_us: list[int]
    row: int = 0
    last_us: int = 0
    deviating: bool = False
    flagged: list[tuple[int, int]] = field(default_factory=list)
    healthy_s: float = 0.0

    @classmethod
    def at(cls, baseline: Baseline) -> "ChartState":
        """Return the state at the end of the baseline."""
        return cls(
            level=[t.level for t in baseline.tracks],
            bounded=[t.level for t in baseline.tracks],
            slow=[t.mean for t in baseline.tracks],
            reference=[t.reference for t in baseline.tracks],
            updated_us=[baseline.to_us] * len(baseline.tracks),
            last_us=baseline.to_us,
        )

    def resume(self, t_us: int) -> None:
        """Begin again after a pause: what was building up is forgotten, what was learned stays."""
        self.level = list(self.reference)
        self.bounded = list(self.reference)
        self.updated_us = [t_us] * len(self.updated_us)
        self.flagged = []
        self.deviating = False
        self.healthy_s = 0.0
        self.last_us = t_us


@dataclass(frozen=True, slots=True)
class Limits:
    """What a track's deviation is held against, in its own unit.

    Attributes:
        sudden: Against the drifting reference; infinite where the track is only watched.
        slow: Against the baseline's mean.
    """

    sudden: float
    slow: float
    upward_only: bool


def limits_of(track: Track, reference: float, tuning: Tuning) -> Limits:
    """Return the limits of one track: what matters, and never less than one healthy spread."""
    tolerance = TOLERANCES[track.role]
    least = tuning.least_spread * track.spread
    slow = max(tolerance.acceptable_ratio * abs(track.mean), tolerance.acceptable, least)
    sudden = max(tolerance.resolvable_ratio * abs(reference), least)
    return Limits(
        sudden=sudden if track.charted else math.inf,
        slow=slow,
        upward_only=tolerance.upward_only,
    )


class Chart:
    """Judges rows against one baseline."""

    def __init__(
        self, baseline: Baseline, state: ChartState, *, row_us: int, tuning: Tuning
    ) -> None:
        self.baseline = baseline
        self.state = state
        self._tuning = tuning
        self._row_us = row_us
        self._charted = baseline.charted
        self._window = tuning.window_rows(row_us)
        self._needed = tuning.needed_rows(row_us)
        step_s = row_us / US
        steps = (step_s, 2.0 * step_s)
        self._weights = {
            tau: tuple(row_weight(step, tau) for step in steps)
            for tau in (tuning.level_s, tuning.slow_s, tuning.reference_s)
        }
        self._limits = [limits_of(t, t.reference, tuning) for t in baseline.tracks]
        self._resolvable = [TOLERANCES[t.role].resolvable_ratio for t in baseline.tracks]
        self._least = [tuning.least_spread * t.spread for t in baseline.tracks]
        self._slow_floor = [
            max(limit.slow, 3.0 * t.level_sd)
            for limit, t in zip(self._limits, baseline.tracks, strict=True)
        ]
        self._bounds = [_BOUND_LIMITS * limit.sudden for limit in self._limits]
        self._clip = [_CLIP_SPREADS * t.spread for t in baseline.tracks]
        self._hold_us = max(round(_HOLD_S * US), 3 * row_us)

    @property
    def tipped(self) -> bool:
        """Whether k of the last n rows deviate."""
        return self.state.deviating and len(self.state.flagged) >= self._needed

    @property
    def onset_us(self) -> int:
        """When what is in the window began."""
        return self.state.flagged[0][1] if self.state.flagged else self.state.last_us

    def speed_is_known(self, speed: float | None) -> bool:
        """Whether the machine runs at the speed that it was learned at.

        A speed outside the learned envelope is another regime, about which nothing was learned.
        """
        mean = self.baseline.speed_mean
        if mean is None:
            return True
        if speed is None or math.isnan(speed):
            return False
        reach = max(_SPEED_SHARE * abs(mean), _SPEED_SPREADS * self.baseline.speed_spread)
        return abs(speed - mean) <= reach

    def step(self, t_us: int, values: list[float], *, frozen: bool) -> bool:
        """Take one row into account and tell whether it deviates.

        Args:
            t_us: The row's time, later than any before.
            values: One per track, NaN where the row has none.
            frozen: Whether an item is open, so that the reference must not follow.
        """
        state = self.state
        wide = t_us - state.last_us > round(1.5 * self._row_us)
        self._follow(t_us, values, 1 if wide else 0)
        scale = self._tuning.release_ratio if state.deviating else 1.0
        deviating = self._sudden(scale, t_us) or self._slow(scale)
        state.row += 1
        if deviating:
            state.flagged.append((state.row, t_us))
        elif not frozen:
            self._drift(1 if wide else 0)
        oldest = state.row - self._window
        while state.flagged and state.flagged[0][0] <= oldest:
            state.flagged.pop(0)
        elapsed_s = min(t_us - state.last_us, round(_LARGEST_STEP_ROWS * self._row_us)) / US
        state.healthy_s = 0.0 if deviating else state.healthy_s + elapsed_s
        state.deviating = deviating
        state.last_us = t_us
        return deviating

    def t_squared(self) -> float:
        """Return the T2 statistic of the last row, over its limit."""
        return self._statistic(self.state.last_us) / self.baseline.limit

    def _follow(self, t_us: int, values: list[float], wide: int) -> None:
        state = self.state
        fast = self._weights[self._tuning.level_s][wide]
        slow = self._weights[self._tuning.slow_s][wide]
        for index, value in enumerate(values):
            if value == value:  # noqa: PLR0124 - false for NaN only, and the fastest way to ask
                state.level[index] += fast * (value - state.level[index])
                reference, bound = state.reference[index], self._bounds[index]
                pulled = min(max(value, reference - bound), reference + bound)
                state.bounded[index] += fast * (pulled - state.bounded[index])
                state.slow[index] += slow * (value - state.slow[index])
                state.updated_us[index] = t_us

    def _drift(self, wide: int) -> None:
        """Let the reference follow, but never by more than two spreads per time constant."""
        state = self.state
        weight = self._weights[self._tuning.reference_s][wide]
        for index, clip in enumerate(self._clip):
            away = state.level[index] - state.reference[index]
            state.reference[index] += weight * min(max(away, -clip), clip)

    def _statistic(self, t_us: int) -> float:
        state = self.state
        away = [
            state.bounded[i] - state.reference[i]
            if t_us - state.updated_us[i] <= self._hold_us
            else 0.0
            for i in self._charted
        ]
        total = 0.0
        for row in self.baseline.whitening:
            component = 0.0
            for factor, deviation in zip(row, away, strict=False):
                component += factor * deviation
            total += component * component
        return total

    def _sudden(self, scale: float, t_us: int) -> bool:
        """Whether the level left the reference: a change that matters, and no chance."""
        state = self.state
        for index in self._charted:
            away = abs(state.bounded[index] - state.reference[index])
            matters = max(self._resolvable[index] * abs(state.reference[index]), self._least[index])
            if away >= scale * matters and t_us - state.updated_us[index] <= self._hold_us:
                return self._statistic(t_us) > scale * scale * self.baseline.limit
        return False

    def _slow(self, scale: float) -> bool:
        """Whether the slow level left the acceptance tolerance, and the level has not come back."""
        for index, floor in enumerate(self._slow_floor):
            mean = self.baseline.tracks[index].mean
            slow, now = self.state.slow[index] - mean, self.state.level[index] - mean
            if slow < 0.0 and not self._limits[index].upward_only:
                slow, now = -slow, -now
            if slow >= scale * floor and now >= scale * floor:
                return True
        return False
