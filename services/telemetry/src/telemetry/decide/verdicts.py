"""Freshness of many signals against many budgets at once, by the clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from telemetry.model.quality import name_of
from telemetry.model.reading import Floats, Ints, Tail
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
_CODES: Final = (Verdict.FRESH, Verdict.LATE, Verdict.STALE, Verdict.UNASSESSED)
_FRESH, _LATE, _STALE, _UNASSESSED = range(4)


@dataclass(frozen=True, slots=True)
class Watched:
    """One signal and one named budget."""

    signal: Signal
    tail: Tail
    budget: Budget


@dataclass(frozen=True, slots=True)
class Watch:
    """Pairs of signal and budget in columns, of one tenant."""

    pairs: tuple[Watched, ...]
    advanced_us: Ints
    cadence_us: Floats
    budget_us: Floats

    @classmethod
    def over(cls, entries: Sequence[tuple[Signal, Tail]], budgets: Sequence[Budget]) -> "Watch":
        """Pair every signal that declares a cadence with every budget."""
        pairs = tuple(
            Watched(signal, tail, budget)
            for signal, tail in entries
            if signal.cadence_s > 0
            for budget in budgets
        )
        return cls(
            pairs=pairs,
            advanced_us=np.array([p.tail.advanced_us for p in pairs], np.int64),
            cadence_us=np.array([p.signal.cadence_s for p in pairs], np.float64) * US,
            budget_us=np.array([p.budget.budget_s for p in pairs], np.float64) * US,
        )


def verdict_codes(
    watch: Watch, *, now_us: int, speed: float, late_grace_us: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Judge every pair; the same rule as `twinmesh_sdk.core.trust.freshness`, on columns.

    Args:
        watch: What to judge.
        now_us: Plant time.
        speed: Plant seconds per wall second.
        late_grace_us: How long beyond three cadences a value still passes for FRESH.
    """
    age_us = now_us - watch.advanced_us
    code = np.full(len(watch.pairs), _LATE, np.uint8)
    code[age_us <= FRESH_CADENCES * watch.cadence_us + late_grace_us] = _FRESH
    code[age_us > watch.budget_us] = _STALE
    code[watch.budget_us < CLOCK_RESOLUTION_S * speed * US] = _UNASSESSED
    return code


def changes(
    watch: Watch,
    known: Mapping[tuple[str, str], VerdictState],
    *,
    now_us: int,
    speed: float,
    limit: int,
) -> list[VerdictChange]:
    """Return the verdicts that are no longer what was announced, with what was.

    Args:
        watch: Pairs of one tenant.
        known: Verdicts as announced, by signal id and decision.
        now_us: Plant time.
        speed: Plant seconds per wall second.
        limit: Most changes to return; the rest is found again next time.
    """
    codes = verdict_codes(
        watch, now_us=now_us, speed=speed, late_grace_us=LATE_GRACE_S * speed * US
    )
    found: list[VerdictChange] = []
    for pair, code in zip(watch.pairs, codes.tolist(), strict=True):
        before = known.get((pair.signal.signal_id, pair.budget.decision))
        verdict = _CODES[code]
        if before is not None and before.verdict is verdict:
            continue
        found.append(
            VerdictChange(
                pair.signal,
                before,
                VerdictState(
                    tenant=pair.signal.tenant,
                    signal_id=pair.signal.signal_id,
                    decision=pair.budget.decision,
                    verdict=verdict,
                    budget_s=pair.budget.budget_s,
                    observed_at=from_us(pair.tail.advanced_us),
                    effective_at=effective_at(pair, verdict, from_us(now_us)),
                    version=1 if before is None else before.version + 1,
                ),
            )
        )
        if len(found) == limit:
            break
    return found


def effective_at(pair: Watched, verdict: Verdict, now: datetime) -> datetime:
    """Return the plant time at which a verdict became true: the clock passed a boundary, or now."""
    since = from_us(pair.tail.advanced_us)
    if verdict is Verdict.LATE:
        return min(now, since + timedelta(seconds=FRESH_CADENCES * pair.signal.cadence_s))
    if verdict is Verdict.STALE:
        return min(now, since + timedelta(seconds=pair.budget.budget_s))
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
