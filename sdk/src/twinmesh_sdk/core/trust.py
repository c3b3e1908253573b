"""Trust travels with the value: freshness against a named budget, quality, combination."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final, Self

from twinmesh_sdk.core.errors import InvalidInputError

FRESH_CADENCES: Final = 3.0
CLOCK_RESOLUTION_S: Final = 5.0


class Verdict(StrEnum):
    """Freshness, judged by the clock."""

    FRESH = "FRESH"
    LATE = "LATE"
    STALE = "STALE"
    ABSENT = "ABSENT"
    UNASSESSED = "UNASSESSED"


class Quality(IntEnum):
    """OPC UA severity: the two top bits of a status code. Larger is worse."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


_WORSE: Final = {
    Verdict.UNASSESSED: 0,
    Verdict.FRESH: 0,
    Verdict.LATE: 1,
    Verdict.STALE: 2,
    Verdict.ABSENT: 3,
}


def severity(status_code: int) -> Quality:
    """Return the severity of an OPC UA status code.

    Source: OPC UA Part 4, 7.39: bits 30 and 31; the reserved pattern 11 counts as Bad.
    """
    return Quality(min((status_code >> 30) & 0b11, 2))


@dataclass(frozen=True, slots=True)
class Budget:
    """How old a value may be for one decision."""

    decision: str
    budget_s: float

    def __post_init__(self) -> None:
        """Refuse budgets that are no bound."""
        if not 0 < self.budget_s < float("inf"):
            raise InvalidInputError(f"a budget must be positive and finite, got {self.budget_s}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value is trusted less than it could be."""

    code: str
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """How far a value can be trusted for one decision.

    Attributes:
        observed_at: Plant time at the source; None when never seen.
        arrived_at: Plant time at our door.
        decision: Whose budget was applied; empty where none was asked for.
        age_s: Age at the `now` of the request; None when never seen.
    """

    verdict: Verdict
    quality: Quality = Quality.GOOD
    status_code: int = 0
    observed_at: datetime | None = None
    arrived_at: datetime | None = None
    decision: str = ""
    budget_s: float | None = None
    age_s: float | None = None
    configuration_version: str = ""
    model_version: str = ""
    reasons: tuple[Reason, ...] = ()

    def because(self, *reasons: Reason) -> Self:
        """Return this trust with further reasons, each once."""
        fresh = tuple(r for r in dict.fromkeys(reasons) if r not in self.reasons)
        return replace(self, reasons=self.reasons + fresh)

    def degraded(self, quality: Quality, *reasons: Reason) -> Self:
        """Return this trust at `quality` or worse, with the reasons for it."""
        return replace(self, quality=max(self.quality, quality)).because(*reasons)


def freshness(
    *,
    observed_at: datetime | None,
    now: datetime,
    cadence_s: float,
    budget_s: float,
    speed: float = 1.0,
) -> Verdict:
    """Judge how fresh a value is.

    Args:
        observed_at: Plant time at the source; None when never seen.
        now: Plant time of the judgement. A value from the future counts as age zero.
        cadence_s: Declared time between readings, > 0.
        budget_s: Largest age that the decision tolerates.
        speed: Plant seconds per wall second; a budget below 5 s x speed cannot be resolved.

    Returns:
        ABSENT if never seen; UNASSESSED if the budget is shorter than the clock can resolve; STALE
        beyond the budget (it wins over cadence); FRESH up to three cadences; LATE between.
    """
    if observed_at is None:
        return Verdict.ABSENT
    if budget_s < CLOCK_RESOLUTION_S * speed:
        return Verdict.UNASSESSED
    age_s = (now - observed_at).total_seconds()
    if age_s > budget_s:
        return Verdict.STALE
    return Verdict.FRESH if age_s <= FRESH_CADENCES * cadence_s else Verdict.LATE


def next_change(
    *, observed_at: datetime, now: datetime, cadence_s: float, budget_s: float
) -> datetime | None:
    """Return when the verdict changes by the clock alone; None when it is already STALE."""
    fresh_until = observed_at + timedelta(seconds=FRESH_CADENCES * cadence_s)
    good_until = observed_at + timedelta(seconds=budget_s)
    for boundary in sorted((min(fresh_until, good_until), good_until)):
        if now <= boundary:
            return boundary + timedelta(microseconds=1)
    return None


def worse(one: Verdict, other: Verdict) -> Verdict:
    """Return the worse verdict. UNASSESSED is not contagious: any assessed verdict replaces it."""
    if Verdict.UNASSESSED in (one, other):
        return other if one is Verdict.UNASSESSED else one
    return max(one, other, key=_WORSE.__getitem__)


def combine(mandatory: Iterable[Trust]) -> Trust:
    """Return the trust of a value derived from these mandatory inputs.

    The worst verdict and quality over all, the oldest `observed_at`, every reason once. Order does
    not matter. Optional inputs do not take part: they widen intervals only.

    Raises:
        InvalidInputError: There is no input.
    """
    inputs = list(mandatory)
    if not inputs:
        raise InvalidInputError("a derived value needs at least one mandatory input")
    verdict = Verdict.UNASSESSED
    for trust in inputs:
        verdict = worse(verdict, trust.verdict)
    worst = max(inputs, key=lambda t: (t.quality, t.status_code))
    absent = any(t.observed_at is None for t in inputs)
    observed = [t.observed_at for t in inputs if t.observed_at is not None]
    arrived = [t.arrived_at for t in inputs if t.arrived_at is not None]
    ages = [t.age_s for t in inputs if t.age_s is not None]
    reasons = sorted(
        {reason for t in inputs for reason in t.reasons},
        key=lambda r: (r.code, r.subject, r.detail),
    )
    decisions = {(t.decision, t.budget_s) for t in inputs}
    decision, budget_s = decisions.pop() if len(decisions) == 1 else ("", None)
    configurations = {t.configuration_version for t in inputs}
    models = {t.model_version for t in inputs}
    return Trust(
        verdict=verdict,
        quality=worst.quality,
        status_code=worst.status_code,
        observed_at=None if absent else min(observed),
        arrived_at=min(arrived) if arrived else None,
        decision=decision,
        budget_s=budget_s,
        age_s=max(ages) if ages and not absent else None,
        configuration_version=configurations.pop() if len(configurations) == 1 else "",
        model_version=models.pop() if len(models) == 1 else "",
        reasons=tuple(reasons),
    )


def worst_rank(trust: Trust) -> tuple[int, int]:
    """Return a key that orders trusts from best to worst: verdict first, then quality."""
    return (_WORSE[trust.verdict], int(trust.quality))
