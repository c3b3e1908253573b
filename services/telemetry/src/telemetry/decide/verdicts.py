"""Freshness of many signals against many budgets at once, by the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from telemetry.model.quality import name_of
from telemetry.model.reading import Bytes, Floats, Ints
from telemetry.model.signal import Signal
from telemetry.model.verdict import VerdictChange, VerdictState
from twinmesh_sdk.core.times import from_us
from twinmesh_sdk.core.trust import (
    CLOCK_RESOLUTION_S,
    FRESH_CADENCES,
    Budget,
    Trust,
    Verdict,
    freshness,
    severity,
)
from twinmesh_sdk.core.trust import Reason as TrustReason

US: Final = 1_000_000
LATE_GRACE_S: Final = 2.0
"""Wall seconds that LATE has to last before it is announced: readings travel in batches, and a
value that is late at every other tick would be an event at every tick."""
VERDICTS: Final = (Verdict.FRESH, Verdict.LATE, Verdict.STALE, Verdict.UNASSESSED)
NEVER: Final = 255
_FRESH, _LATE, _STALE, _UNASSESSED = range(4)


@dataclass(frozen=True, slots=True)
class Watch:
    """Signals of one tenant against named budgets, in columns.

    A pair is a signal and a budget; pair number `n` is signal `n // len(budgets)` and budget
    `n % len(budgets)`.

    Attributes:
        cadence_us: Per pair.
        budget_us: Per pair.
    """

    signals: tuple[Signal, ...]
    budgets: tuple[Budget, ...]
    cadence_us: Floats
    budget_us: Floats

    @classmethod
    def over(cls, signals: Sequence[Signal], budgets: Sequence[Budget]) -> "Watch":
        """Pair every signal that declares a cadence with every budget."""
        declared = tuple(signal for signal in signals if signal.cadence_s > 0)
        cadence_us = np.array([s.cadence_s for s in declared], np.float64) * US
        budget_us = np.array([b.budget_s for b in budgets], np.float64) * US
        return cls(
            signals=declared,
            budgets=tuple(budgets),
            cadence_us=np.repeat(cadence_us, len(budgets)),
            budget_us=np.tile(budget_us, len(declared)),
        )

    def key(self, pair: int) -> tuple[str, str]:
        """Return signal id and decision of a pair."""
        signal, budget = divmod(pair, len(self.budgets))
        return self.signals[signal].signal_id, self.budgets[budget].decision


def verdict_codes(
    watch: Watch,
    advanced_us: Ints,
    *,
    now_us: int,
    speed: float,
    late_grace_us: float = 0.0,
) -> Bytes:
    """Judge every pair; the same rule as `twinmesh_sdk.core.trust.freshness`, on columns.

    Args:
        watch: What to judge.
        advanced_us: Per signal, source time of the last reading at which the source moved on.
        now_us: Plant time.
        speed: Plant seconds per wall second.
        late_grace_us: How long beyond three cadences a value still passes for FRESH.

    Returns:
        Per pair, an index into `VERDICTS`.
    """
    age_us = now_us - np.repeat(advanced_us, len(watch.budgets))
    code = np.full(len(age_us), _LATE, np.uint8)
    code[age_us <= FRESH_CADENCES * watch.cadence_us + late_grace_us] = _FRESH
    code[age_us > watch.budget_us] = _STALE
    code[watch.budget_us < CLOCK_RESOLUTION_S * speed * US] = _UNASSESSED
    return code


def announced_codes(watch: Watch, known: Mapping[tuple[str, str], VerdictState]) -> Bytes:
    """Return, per pair, the verdict that was announced; NEVER for none."""
    count = len(watch.signals) * len(watch.budgets)
    states = (known.get(watch.key(pair)) for pair in range(count))
    return np.array(
        [NEVER if state is None else VERDICTS.index(state.verdict) for state in states], np.uint8
    )


def change_of(
    watch: Watch,
    pair: int,
    code: int,
    *,
    advanced_us: int,
    before: VerdictState | None,
    now: datetime,
) -> VerdictChange:
    """Return the fact that a pair's verdict is another one now."""
    place, which = divmod(pair, len(watch.budgets))
    signal, budget, verdict = watch.signals[place], watch.budgets[which], VERDICTS[code]
    since = from_us(advanced_us)
    return VerdictChange(
        signal,
        before,
        VerdictState(
            tenant=signal.tenant,
            signal_id=signal.signal_id,
            decision=budget.decision,
            verdict=verdict,
            budget_s=budget.budget_s,
            observed_at=since,
            effective_at=effective_at(
                verdict, since=since, cadence_s=signal.cadence_s, budget=budget, now=now
            ),
            version=1 if before is None else before.version + 1,
        ),
    )


def effective_at(
    verdict: Verdict, *, since: datetime, cadence_s: float, budget: Budget, now: datetime
) -> datetime:
    """Return the plant time at which a verdict became true: the clock passed a boundary, or now."""
    if verdict is Verdict.LATE:
        return min(now, since + timedelta(seconds=FRESH_CADENCES * cadence_s))
    if verdict is Verdict.STALE:
        return min(now, since + timedelta(seconds=budget.budget_s))
    return now


def tightest(budgets: Mapping[str, Budget]) -> Budget | None:
    """Return the named budget that tolerates least; None when no charter declares any."""
    return min(budgets.values(), key=lambda b: (b.budget_s, b.decision), default=None)


def trust_of(
    *,
    signal: Signal,
    observed_us: int | None,
    advanced_us: int | None,
    arrived_us: int | None,
    status: int,
    budget: Budget | None,
    now: datetime,
    speed: float,
) -> Trust:
    """Return how far a signal's newest value can be trusted for a decision.

    Freshness counts from the last reading at which the source moved on. Without a budget, or
    without a declared cadence to hold it against, the verdict is UNASSESSED.
    """
    name = signal.name
    if observed_us is None or advanced_us is None:
        return Trust(
            verdict=Verdict.ABSENT,
            decision=budget.decision if budget else "",
            budget_s=budget.budget_s if budget else None,
            reasons=(TrustReason("NEVER_SEEN", name, "no reading of this signal was stored"),),
        )
    verdict = Verdict.UNASSESSED
    reasons: list[TrustReason] = []
    if budget is None:
        reasons.append(TrustReason("NO_BUDGET", name, "no active charter declares a budget"))
    elif signal.cadence_s <= 0:
        reasons.append(TrustReason("NO_CADENCE", name, "the signal declares no cadence"))
    else:
        verdict = freshness(
            observed_at=from_us(advanced_us),
            now=now,
            cadence_s=signal.cadence_s,
            budget_s=budget.budget_s,
            speed=speed,
        )
    age_s = max(0.0, (now - from_us(advanced_us)).total_seconds())
    if verdict is Verdict.STALE and budget is not None:
        reasons.append(
            TrustReason("STALE_INPUT", name, f"{age_s:.0f} s old, budget {budget.budget_s:g} s")
        )
    if observed_us > advanced_us:
        reasons.append(
            TrustReason("RESTAMPED", name, "the source repeats one sequence under new stamps")
        )
    if status:
        from_code = quality_reason(name, status)
        reasons.extend([from_code] if from_code else [])
    return Trust(
        verdict=verdict,
        quality=severity(status),
        status_code=status,
        observed_at=from_us(advanced_us),
        arrived_at=None if arrived_us is None else from_us(arrived_us),
        decision=budget.decision if budget else "",
        budget_s=budget.budget_s if budget else None,
        age_s=age_s,
        reasons=tuple(reasons),
    )


def quality_reason(name: str, status: int) -> TrustReason | None:
    """Return why a status code lowers trust; None when it is Good."""
    if severity(status) == 0:
        return None
    return TrustReason("QUALITY", name, name_of(status))
