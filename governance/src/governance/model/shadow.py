"""How model versions do on live events: what twins measured, window by window."""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

LARGEST_ERROR: Final = 1e12
MAX_PAIRS: Final = 10_000_000


class Missing(StrEnum):
    """What a promotion still waits for."""

    WINDOWS = "WINDOWS"
    SPAN = "SPAN"
    EVIDENCE = "EVIDENCE"
    A_PERSON = "A_PERSON"
    """The verdicts differ too often: which of them is right, residuals cannot tell."""


class Unfit(StrEnum):
    """Why a challenger is rejected."""

    NOT_WORTH_IT = "NOT_WORTH_IT"
    UNDECIDED_TOO_LONG = "UNDECIDED_TOO_LONG"


class Fall(StrEnum):
    """Why a version is taken back."""

    ERROR = "ERROR"
    DRIFT = "DRIFT"


class Stay(StrEnum):
    """Why a version is not taken back."""

    NOTHING_DRIFTS = "NOTHING_DRIFTS"
    PROBATION_OVER = "PROBATION_OVER"
    NOTHING_BEFORE_IT = "NOTHING_BEFORE_IT"
    PREVIOUS_FELL = "PREVIOUS_FELL"
    RESTING = "RESTING"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A challenger and the champion on the same rows of one asset, in one window of plant time.

    Attributes:
        pairs: Rows that both judged healthy.
        champion_error: Mean squared error over these rows, in the champion's own healthy spreads.
        challenger_error: The same of the challenger, in the champion's spreads too.
        judged: Rows on which both gave a verdict.
        disagreements: Rows of these on which the verdicts differ.
    """

    asset: str
    from_at: datetime
    to_at: datetime
    pairs: int
    champion_error: float
    challenger_error: float
    judged: int
    disagreements: int

    def __post_init__(self) -> None:
        """Refuse what no window could say."""
        _check_window(self.from_at, self.to_at)
        for error in (self.champion_error, self.challenger_error):
            if not 0.0 <= error <= LARGEST_ERROR:
                raise InvalidInputError(f"an error lies between 0 and {LARGEST_ERROR:g}")
        if not 0 < self.pairs <= self.judged <= MAX_PAIRS:
            raise InvalidInputError("a comparison has pairs, at most as many as rows judged")
        if not 0 <= self.disagreements <= self.judged - self.pairs:
            raise InvalidInputError("a row judged healthy by both is no disagreement")

    @property
    def gain(self) -> float:
        """How much less the challenger errs: 1 all, 0 as much, -1 the champion errs not at all.

        The difference over the sum: without a unit, bounded, and the same backwards with the sign
        changed. 0.05 is an error some ten percent smaller.
        """
        both = self.champion_error + self.challenger_error
        return (self.champion_error - self.challenger_error) / both if both > 0.0 else 0.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """The active version on its own, on one asset in one window of plant time.

    Attributes:
        rows: Rows that it judged healthy.
        error: Mean squared error over these rows, in its own healthy spreads.
        residual: Mean of the signed standardised residuals.
    """

    asset: str
    from_at: datetime
    to_at: datetime
    rows: int
    error: float
    residual: float

    def __post_init__(self) -> None:
        """Refuse what no window could say."""
        _check_window(self.from_at, self.to_at)
        if not 0 < self.rows <= MAX_PAIRS:
            raise InvalidInputError("a measurement has rows")
        if not 0.0 <= self.error <= LARGEST_ERROR or not math.isfinite(self.residual):
            raise InvalidInputError("a measurement's figures must be finite")
        if abs(self.residual) > LARGEST_ERROR:
            raise InvalidInputError(f"a residual lies within {LARGEST_ERROR:g}")


def _check_window(start: datetime, end: datetime) -> None:
    if start.tzinfo is None or end.tzinfo is None or not start < end:
        raise InvalidInputError("a window begins before it ends, both with a zone")
