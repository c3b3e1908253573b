"""How model versions do on live events: what twins measured, window by window."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from governance.model.contracts import Version
from governance.model.releases import ModelName
from twinmesh_sdk.core.errors import InvalidInputError
from twinmesh_sdk.core.ids import AssetId, Tenant, TypedId

LARGEST_ERROR: Final = 1e12
LEAST_ERROR: Final = 1e-9
MAX_PAIRS: Final = 10_000_000
MAX_CHALLENGERS: Final = 8


class RetrainingId(TypedId):
    """A request to retrain."""

    __slots__ = ()
    pattern = re.compile(r"rtr_[0-9a-f]{32}")


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
        pairs: Rows that both judged healthy; with none the window shows no gain.
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
        if not 0 <= self.pairs <= self.judged <= MAX_PAIRS or not self.judged:
            raise InvalidInputError("a comparison has rows judged, and at most as many pairs")
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


@dataclass(frozen=True, slots=True)
class ComparedWindow:
    """All comparisons of one window of plant time, of every asset, as one observation.

    Attributes:
        gain: Mean over the assets, see `Comparison.gain`.
    """

    from_at: datetime
    to_at: datetime
    gain: float
    pairs: int
    judged: int
    disagreements: int


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """All measurements of one window of plant time, of every asset.

    Attributes:
        residual: Mean over the assets.
        log_error: Mean over the assets of the logarithm of the error, at least that of LEAST_ERROR.
    """

    at: datetime
    residual: float
    log_error: float


@dataclass(frozen=True, slots=True)
class MeasuredWindow:
    """All that one twin measured on one asset in one window.

    Attributes:
        domain: Of the twin: the first word of the event's type, which permissions bind to it.
        version: The active version throughout.
        measurement: Of the active version.
        challengers: Against the active version.
    """

    tenant: Tenant
    domain: str
    model: ModelName
    version: Version
    asset: AssetId
    configuration: str
    measurement: Measurement
    challengers: Mapping[Version, Comparison]

    def __post_init__(self) -> None:
        """Refuse what has no bound."""
        if len(self.challengers) > MAX_CHALLENGERS or self.version in self.challengers:
            raise InvalidInputError(f"a window has at most {MAX_CHALLENGERS} other versions")
        if len(self.configuration) > 128:
            raise InvalidInputError("a configuration version is named in 128 characters")


class RulingKind(StrEnum):
    """What was ruled about a version."""

    PROMOTED = "PROMOTED"
    REJECTED = "REJECTED"
    ROLLED_BACK = "ROLLED_BACK"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the figures decided about a version: once, for good.

    Attributes:
        tenant: Whose figures decided.
        against: The champion of a challenger; the version that decides again after a rollback.
        tenure: Plant time at which the period began that it was judged in: the champion's, or its
            own.
        why: Names, see `Unfit` and `Fall`; of a ruling that was not carried out, what stood in the
            way.
        carried_out: Whether the versions were changed by it.
        at: Plant time of the figure that decided.
        recorded_at: Wall time.
        figures: What was seen, by name.
    """

    tenant: Tenant
    model: ModelName
    version: Version
    kind: RulingKind
    against: Version
    tenure: datetime
    why: str
    carried_out: bool
    at: datetime
    recorded_at: datetime
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetrainingRequest:
    """A version drifts: its author is asked for the next one.

    Attributes:
        tenure: Plant time from which the version decides; there is one request per tenure.
        since: Plant time at which the drift began.
        answered_by: The version that was submitted for it; None while none was.
    """

    id: RetrainingId
    tenant: Tenant
    model: ModelName
    version: Version
    tenure: datetime
    since: datetime
    noticed_at: datetime
    recorded_at: datetime
    sum: float
    answered_by: Version | None = None


def _check_window(start: datetime, end: datetime) -> None:
    if start.tzinfo is None or end.tzinfo is None or not start < end:
        raise InvalidInputError("a window begins before it ends, both with a zone")
