"""Whether a challenger that ran in the shadow may take over: a test that may be looked at any time.

What is tested is the gain of a window of plant time: see `Comparison.gain`, between -1 and 1.
Windows of the same time, of several assets, are one observation: assets of one plant see the same
weather.
A bettor who holds that the challenger is no better stakes a share of their capital on every window;
under that hypothesis no strategy makes money, so capital of 1/alpha is evidence at level alpha, and
stays so however often one looks and whenever one stops.

Source:
    Ville, Etude critique de la notion de collectif (1939): the bound on a nonnegative
    supermartingale. Waudby-Smith and Ramdas, Journal of the Royal Statistical Society B 86 (2024):
    betting on means of bounded variables, and mixtures over a grid of bets; valid when each
    window's expected gain, given those before it, is what the hypothesis says. Windows need not be
    independent nor of one distribution.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from governance.model.shadow import ComparedWindow, Comparison, Missing, Unfit
from twinmesh_sdk.core.errors import InvalidInputError

MAX_WINDOWS: Final = 5_000
"""Windows looked at; a challenger that is undecided by then will not be worth the wait."""

_LARGEST_STAKE: Final = 0.9
"""Of what can be lost on the worst window; below one, so that every capital stays positive."""

_STAKES: Final = tuple(_LARGEST_STAKE / 2.0**halvings for halvings in range(8))
_EDGE: Final = 1e-9
_BISECTIONS: Final = 24


@dataclass(frozen=True, slots=True)
class PromotionRule:
    """What a promotion must show.

    Attributes:
        false_promotion: Bound on the probability to ever promote a challenger that is no better.
        false_rejection: Bound on the probability to ever reject one that gains `least_gain`.
        least_gain: Smallest mean gain that is worth a release; 0.02 is a mean squared error some
            four percent smaller.
        least_windows: No promotion before so many windows.
        least_span: No promotion before so much plant time: a day shows what an hour does not.
        most_disagreement: With a larger share of verdicts that differ a person must look: which of
            them is right, residuals cannot tell.
    """

    false_promotion: float = 0.01
    false_rejection: float = 0.05
    least_gain: float = 0.02
    least_windows: int = 72
    least_span: timedelta = timedelta(hours=24)
    most_disagreement: float = 0.02

    def __post_init__(self) -> None:
        """Refuse rules under which the test means nothing."""
        if not 0.0 < self.false_promotion < 0.5 or not 0.0 < self.false_rejection < 0.5:
            raise InvalidInputError("error rates lie between 0 and 0.5")
        if not 0.0 < self.least_gain < 1.0 or not 0.0 <= self.most_disagreement <= 1.0:
            raise InvalidInputError("least_gain in (0, 1), most_disagreement in [0, 1]")
        if not 1 <= self.least_windows < MAX_WINDOWS or self.least_span < timedelta(0):
            raise InvalidInputError(f"least_windows below {MAX_WINDOWS}, least_span not negative")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the windows show so far.

    Attributes:
        pairs, windows, span: How much was looked at.
        mean_gain: Over the windows.
        low, high: Bounds of the mean gain at the two error rates, however often one looks.
        disagreement: Share of the judged rows on which the verdicts differ.
        capital: Against "no better": 1 says nothing.
        against: Capital against "gains `least_gain`".
    """

    pairs: int = 0
    windows: int = 0
    span: timedelta = timedelta(0)
    mean_gain: float = 0.0
    low: float = -1.0
    high: float = 1.0
    disagreement: float = 0.0
    capital: float = 1.0
    against: float = 1.0


@dataclass(frozen=True, slots=True)
class Promote:
    """The challenger errs less, beyond the stated doubt.

    Attributes:
        at: End of the window that decided.
    """

    evidence: Evidence
    at: datetime


@dataclass(frozen=True, slots=True)
class Continue:
    """Not decided; `waiting_for` says what is missing."""

    evidence: Evidence
    waiting_for: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    """The challenger is not worth a release.

    Attributes:
        at: End of the window that decided.
    """

    evidence: Evidence
    at: datetime
    why: Unfit


Promotion = Promote | Continue | Reject


def judge(comparisons: Iterable[Comparison], rule: PromotionRule) -> Promotion:
    """Decide about a challenger by comparisons in any order; see `judge_windows`."""
    return judge_windows(joined(comparisons), rule)


def judge_windows(compared: Sequence[ComparedWindow], rule: PromotionRule) -> Promotion:
    """Decide about a challenger; the first window that decides has decided for good.

    Args:
        compared: One per window of time, in its order.
        rule: What must be shown.
    """
    windows = compared[:MAX_WINDOWS]
    capital, against = _Capital(0.0, sign=1.0), _Capital(rule.least_gain, sign=-1.0)
    judged = disagreements = 0
    for number, window in enumerate(windows, start=1):
        capital.take(window.gain)
        against.take(window.gain)
        judged += window.judged
        disagreements += window.disagreements
        span = window.to_at - windows[0].from_at
        if against.log >= -math.log(rule.false_rejection):
            return Reject(_evidence(windows[:number], rule), window.to_at, Unfit.NOT_WORTH_IT)
        shown = capital.log >= -math.log(rule.false_promotion)
        enough = number >= rule.least_windows and span >= rule.least_span
        agreed = disagreements <= rule.most_disagreement * judged
        if shown and enough and agreed:
            return Promote(_evidence(windows[:number], rule), window.to_at)
    evidence = _evidence(windows, rule)
    if len(windows) >= MAX_WINDOWS:
        return Reject(evidence, windows[-1].to_at, Unfit.UNDECIDED_TOO_LONG)
    return Continue(evidence, _missing(evidence, rule))


def _missing(evidence: Evidence, rule: PromotionRule) -> tuple[Missing, ...]:
    checks = (
        (Missing.WINDOWS, evidence.windows >= rule.least_windows),
        (Missing.SPAN, evidence.span >= rule.least_span),
        (Missing.EVIDENCE, evidence.capital >= 1.0 / rule.false_promotion),
        (Missing.A_PERSON, evidence.disagreement <= rule.most_disagreement),
    )
    return tuple(name for name, met in checks if not met)


def joined(comparisons: Iterable[Comparison]) -> list[ComparedWindow]:
    """Return one observation per window of time; sums are exact, so their order does not matter."""
    ordered = sorted(comparisons, key=lambda c: c.from_at)
    return [_joined(list(same)) for _, same in groupby(ordered, key=lambda c: c.from_at)]


def _joined(same: Sequence[Comparison]) -> ComparedWindow:
    return ComparedWindow(
        from_at=same[0].from_at,
        to_at=max(c.to_at for c in same),
        gain=math.fsum(c.gain for c in same) / len(same),
        pairs=sum(c.pairs for c in same),
        judged=sum(c.judged for c in same),
        disagreements=sum(c.disagreements for c in same),
    )


def _evidence(windows: Sequence[ComparedWindow], rule: PromotionRule) -> Evidence:
    if not windows:
        return Evidence()
    gains = [w.gain for w in windows]
    low, high = interval(gains, above_rate=rule.false_promotion, below_rate=rule.false_rejection)
    judged = sum(w.judged for w in windows)
    return Evidence(
        pairs=sum(w.pairs for w in windows),
        windows=len(windows),
        span=windows[-1].to_at - windows[0].from_at,
        mean_gain=math.fsum(gains) / len(gains),
        low=low,
        high=high,
        disagreement=sum(w.disagreements for w in windows) / judged,
        capital=_bounded_exp(_log_capital(gains, 0.0, sign=1.0)),
        against=_bounded_exp(_log_capital(gains, rule.least_gain, sign=-1.0)),
    )


def interval(
    gains: Sequence[float], *, above_rate: float, below_rate: float
) -> tuple[float, float]:
    """Return bounds that hold the mean gain at all times at once.

    Each bound is the mean that a bettor could just not yet disprove, so they agree with the test:
    it promotes when `low` is above zero, and rejects when `high` is below the least gain.

    Args:
        gains: One per window.
        above_rate: Probability that the mean is ever below `low`, at most.
        below_rate: Probability that it is ever above `high`, at most.
    """
    low = _first_not_disproved(gains, -math.log(above_rate), sign=1.0)
    high = _first_not_disproved(gains, -math.log(below_rate), sign=-1.0)
    return low, high


def _first_not_disproved(gains: Sequence[float], limit: float, *, sign: float) -> float:
    """Return the end of the interval on one side, from outside: capital falls towards the gains."""
    outside, inside = -sign * (1.0 - _EDGE), sign
    if _log_capital(gains, outside, sign=sign) < limit:
        return -sign
    for _ in range(_BISECTIONS):
        middle = (outside + inside) / 2.0
        if _log_capital(gains, middle, sign=sign) >= limit:
            outside = middle
        else:
            inside = middle
    return outside


class _Capital:
    """Capital against "the mean gain is `mean`", on the side that `sign` says; all bets mixed."""

    def __init__(self, mean: float, *, sign: float) -> None:
        self._mean = mean
        self._sign = sign
        self._logs = [0.0] * len(_STAKES)

    def take(self, gain: float) -> None:
        """Bet on one window."""
        won = _won(gain, self._mean, self._sign)
        self._logs = [
            log + math.log1p(stake * won) for log, stake in zip(self._logs, _STAKES, strict=True)
        ]

    @property
    def log(self) -> float:
        """Logarithm of the capital."""
        return _log_mean_exp(self._logs)


def _won(gain: float, mean: float, sign: float) -> float:
    """Return what a stake of one wins: -1 on the worst window, 0 on the mean."""
    return sign * (gain - mean) / (1.0 + sign * mean)


def _log_capital(gains: Sequence[float], mean: float, *, sign: float) -> float:
    won = [_won(gain, mean, sign) for gain in gains]
    return _log_mean_exp([math.fsum(math.log1p(stake * w) for w in won) for stake in _STAKES])


def _log_mean_exp(logs: Sequence[float]) -> float:
    most = max(logs)
    return most + math.log(math.fsum(math.exp(log - most) for log in logs) / len(logs))


def _bounded_exp(log: float) -> float:
    return math.exp(min(log, 700.0))
