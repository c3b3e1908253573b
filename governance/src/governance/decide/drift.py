"""Whether what a model meets, or how it errs, has drifted; and whether to go back a version.

Each window's figure is set against the windows in which the level was learned, and deviations are
summed: a cumulative sum notices a small lasting shift long before a single window would stand out.
What has drifted stays so until the sum has fallen well below the limit and some windows in a row
were ordinary: between the two limits nothing changes.

Source:
    Page, Biometrika 41 (1954): the cumulative sum. Hawkins and Olwell, Cumulative Sum Charts and
    Charting for Quality Improvement (1998), ch. 2: an allowance of half the shift to find.
    Siegmund, Sequential Analysis (1985), 2.6: mean run to a false alarm on one side of independent
    normal figures, (exp(2 k b) - 2 k b - 1) / (2 k^2) with b = h + 1.166; with k = 0.5 and h = 10
    about 141,000 windows, half that on two sides: more than a year of windows of ten minutes. A
    level learned from 50 windows, and figures that depend on each other, make it less; doubling h
    from the usual 5 leaves room for that.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Final

from governance.model.shadow import LEAST_ERROR, Fall, Measurement, Stay, WindowFigures
from twinmesh_sdk.core.errors import InvalidInputError

MAX_WINDOWS: Final = 5_000
_CLIP: Final = 4.0
"""One window counts as at most so many spreads: an upset of ten minutes is no drift."""


class Side(StrEnum):
    """On which side a figure is watched."""

    BOTH = "BOTH"
    UP = "UP"


@dataclass(frozen=True, slots=True)
class DriftRule:
    """When a figure has drifted, and when it has come back.

    Attributes:
        learned_windows: Windows that teach level and spread.
        allowance: Deviation that is not summed, in spreads: half of the shift to find.
        limit: Sum at which it has drifted, in spreads.
        release_ratio: Share of the limit below which it may have come back.
        calm_windows: Ordinary windows in a row, below that share, after which it has.
        least_spread: Least spread of the figure, in its own unit: what is smaller does not matter.
    """

    learned_windows: int = 50
    allowance: float = 0.5
    limit: float = 10.0
    release_ratio: float = 0.5
    calm_windows: int = 12
    least_spread: float = 0.02

    def __post_init__(self) -> None:
        """Refuse rules that would alarm always, never, or to and fro."""
        if not 5 <= self.learned_windows <= 1_000 or not 1 <= self.calm_windows <= 1_000:
            raise InvalidInputError("learned_windows 5 to 1,000, calm_windows 1 to 1,000")
        if not 0.0 < self.allowance < _CLIP or not 1.0 <= self.limit <= 1_000.0:
            raise InvalidInputError(f"allowance in (0, {_CLIP:g}), limit in [1, 1000]")
        if not 0.0 < self.release_ratio < 1.0 or not 0.0 < self.least_spread < math.inf:
            raise InvalidInputError("release_ratio in (0, 1), least_spread positive")


@dataclass(frozen=True, slots=True)
class Figure:
    """One window's figure."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Learning:
    """Too few windows yet to know the level."""

    windows: int


@dataclass(frozen=True, slots=True)
class Steady:
    """The figure is where it was learned.

    Attributes:
        sum: The larger cumulative sum, in spreads.
    """

    windows: int
    sum: float


@dataclass(frozen=True, slots=True)
class Drifting:
    """The figure has left its level, and has not come back.

    Attributes:
        since: First window since the sum last was zero, before it passed the limit.
        noticed_at: Window that passed the limit.
        sum: The larger cumulative sum, in spreads; negative where the figure fell.
    """

    windows: int
    sum: float
    since: datetime
    noticed_at: datetime


Drift = Learning | Steady | Drifting


@dataclass(slots=True)
class _Sum:
    """A cumulative sum on one side, kept below twice the limit so that it can come back."""

    sign: float
    value: float = 0.0
    since: datetime | None = None

    def take(self, at: datetime, deviation: float, rule: DriftRule) -> None:
        risen = self.value + self.sign * deviation - rule.allowance
        self.value = min(max(risen, 0.0), 2.0 * rule.limit)
        if self.value == 0.0:
            self.since = None
        elif self.since is None:
            self.since = at


def watch(
    figures: Iterable[Figure],
    rule: DriftRule,
    *,
    side: Side = Side.BOTH,
    learned_from: Iterable[Figure] | None = None,
) -> Drift:
    """Say whether a figure has drifted.

    Args:
        figures: In any order, one per window; of several of one time the mean counts.
        rule: When it has.
        side: Where it is watched.
        learned_from: Figures that teach the level; by default the first ones watched.
    """
    ordered = _one_per_time(figures)[-MAX_WINDOWS:]
    if learned_from is None:
        taught = [f.value for f in ordered[: rule.learned_windows]]
        ordered = ordered[rule.learned_windows :]
    else:
        taught = [f.value for f in _one_per_time(learned_from)]
    if len(taught) < rule.learned_windows:
        return Learning(len(taught))
    level = math.fsum(taught) / len(taught)
    spread = math.sqrt(math.fsum((v - level) ** 2 for v in taught) / (len(taught) - 1))
    spread = max(spread, rule.least_spread)
    sums = [_Sum(1.0)] if side is Side.UP else [_Sum(1.0), _Sum(-1.0)]
    noticed: tuple[datetime, datetime] | None = None
    calm = 0
    for figure in ordered:
        deviation = min(max((figure.value - level) / spread, -_CLIP), _CLIP)
        for each in sums:
            each.take(figure.at, deviation, rule)
        highest = max(sums, key=lambda s: s.value)
        if noticed is None:
            if highest.value >= rule.limit:
                noticed, calm = (highest.since or figure.at, figure.at), 0
            continue
        calm = calm + 1 if highest.value <= rule.release_ratio * rule.limit else 0
        if calm >= rule.calm_windows:
            noticed = None
    highest = max(sums, key=lambda s: s.value)
    seen = len(ordered)
    if noticed is None:
        return Steady(seen, highest.value)
    return Drifting(seen, highest.sign * highest.value, *noticed)


def figures_of(measured: Iterable[Measurement]) -> list[WindowFigures]:
    """Return the figures of each window of time, in its order: means over its assets."""
    ordered = sorted(measured, key=lambda m: m.from_at)
    found = []
    for at, same in groupby(ordered, key=lambda m: m.from_at):
        residuals, errors = zip(*((m.residual, _log_error(m.error)) for m in same), strict=True)
        count = len(residuals)
        found.append(WindowFigures(at, math.fsum(residuals) / count, math.fsum(errors) / count))
    return found


def _log_error(error: float) -> float:
    """Return how a model errs, so that ratios count."""
    return math.log(max(error, LEAST_ERROR))


def residual_figures(windows: Iterable[WindowFigures]) -> list[Figure]:
    """Return what the model meets: the mean standardised residual, signed."""
    return [Figure(w.at, w.residual) for w in windows]


def error_figures(windows: Iterable[WindowFigures]) -> list[Figure]:
    """Return how the model errs: the logarithm of its mean squared error."""
    return [Figure(w.at, w.log_error) for w in windows]


def _one_per_time(figures: Iterable[Figure]) -> list[Figure]:
    ordered = sorted(figures, key=lambda f: f.at)
    found = []
    for at, same in groupby(ordered, key=lambda f: f.at):
        values = [f.value for f in same]
        found.append(Figure(at, math.fsum(values) / len(values)))
    return found


@dataclass(frozen=True, slots=True)
class RollbackRule:
    """When a version is taken back without asking.

    Attributes:
        probation: Plant time after an activation in which drift is laid at the version's door; what
            drifts later is the plant's doing, and asks for a retraining instead.
        rest: Plant time after a rollback of a model in which there is no other one.
    """

    probation: timedelta = timedelta(days=7)
    rest: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        """Refuse spans that are none."""
        if self.probation <= timedelta(0) or self.rest <= timedelta(0):
            raise InvalidInputError("probation and rest must be positive")


@dataclass(frozen=True, slots=True)
class Tenure:
    """A version's time as the active one.

    Attributes:
        active_from: Plant time.
        previous: The version before it that could decide again; empty where there is none.
        previous_fell: Whether that one was itself rolled back before: one does not go back to it.
        last_rollback: Plant time of the model's last rollback; None before the first.
    """

    active_from: datetime
    previous: str
    previous_fell: bool = False
    last_rollback: datetime | None = None


@dataclass(frozen=True, slots=True)
class Keep:
    """The version stays; `why` names what speaks for it, or stands in the way."""

    why: Stay


@dataclass(frozen=True, slots=True)
class RollBack:
    """The version ends and the one before it decides again."""

    to: str
    why: tuple[Fall, ...]


Rollback = Keep | RollBack


def decide_rollback(
    *, residuals: Drift, errors: Drift, tenure: Tenure, now: datetime, rule: RollbackRule
) -> Rollback:
    """Decide whether a version is taken back; it cannot swing to and fro.

    A version falls once at most per tenure, none falls within `rest` of another, and nothing is
    rolled back to a version that fell.

    Args:
        residuals: Of what it meets, since it is active.
        errors: Of how it errs, against its predecessor's level.
        tenure: Its time as the active version.
        now: Plant time.
        rule: When it falls.
    """
    found = [
        why
        for why, drift in ((Fall.ERROR, errors), (Fall.DRIFT, residuals))
        if isinstance(drift, Drifting)
    ]
    if not found:
        return Keep(Stay.NOTHING_DRIFTS)
    if now - tenure.active_from > rule.probation:
        return Keep(Stay.PROBATION_OVER)
    if not tenure.previous:
        return Keep(Stay.NOTHING_BEFORE_IT)
    if tenure.previous_fell:
        return Keep(Stay.PREVIOUS_FELL)
    if tenure.last_rollback is not None and now - tenure.last_rollback < rule.rest:
        return Keep(Stay.RESTING)
    return RollBack(to=tenure.previous, why=tuple(found))
