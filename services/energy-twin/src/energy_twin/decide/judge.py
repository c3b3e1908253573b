"""How far an estimate can be trusted: stale is contagious, gaps and doubts are named."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import numpy as np

from energy_twin.decide.meters import Counted
from energy_twin.decide.steps import CURRENT_TIMES_VOLTAGE
from energy_twin.model.baseline import METHOD, HeldBaseline
from energy_twin.model.estimate import Waste, Window
from energy_twin.model.series import Role, Series, SignalUse
from twinmesh_sdk.core.times import from_us, to_us
from twinmesh_sdk.core.trust import (
    Budget,
    Quality,
    Reason,
    Trust,
    Verdict,
    combine,
    freshness,
)

ENOUGH_COVERAGE: Final = 0.8
MUCH_UNCERTAIN: Final = 0.05


def input_trust(
    use: SignalUse, series: Series, *, at: datetime, budget: Budget, speed: float
) -> Trust:
    """Return how fresh a signal was at a time: the window's end, or now when that is sooner."""
    upto = int(np.searchsorted(series.times_us, to_us(at), side="right"))
    observed = from_us(int(series.times_us[upto - 1])) if upto else None
    return Trust(
        verdict=freshness(
            observed_at=observed,
            now=at,
            cadence_s=use.cadence_s,
            budget_s=budget.budget_s,
            speed=speed,
        ),
        observed_at=observed,
        decision=budget.decision,
        budget_s=budget.budget_s,
        age_s=None if observed is None else max(0.0, (at - observed).total_seconds()),
        reasons=() if upto else (Reason("NO_READINGS", use.name, "none in the window"),),
    )


def waste_trust(
    window: Window,
    inputs: Iterable[Trust],
    waste: Waste | None,
    applied: tuple[HeldBaseline, ...],
    *,
    budget: Budget,
    missing: tuple[Role, ...],
) -> Trust:
    """Return how far the waste of a window can be trusted."""
    known = list(inputs)
    trust = (
        combine(known)
        if known
        else Trust(Verdict.ABSENT, decision=budget.decision, budget_s=budget.budget_s)
    )
    configurations = {held.baseline.period.configuration_id for held in applied}
    trust = Trust(
        verdict=Verdict.ABSENT if missing else trust.verdict,
        quality=trust.quality,
        observed_at=trust.observed_at,
        decision=trust.decision,
        budget_s=trust.budget_s,
        age_s=trust.age_s,
        configuration_version=configurations.pop() if len(configurations) == 1 else "",
        model_version=METHOD,
        reasons=trust.reasons,
    )
    if missing:
        reasons = tuple(Reason("MISSING_INPUT", str(role), "not measured") for role in missing)
        return trust.degraded(Quality.BAD, *reasons)
    if waste is None:
        return trust.degraded(
            Quality.BAD, Reason("BASELINING", window.asset_id, "no baseline for this time yet")
        )
    return _with_doubts(trust, window, waste, applied)


def _with_doubts(
    trust: Trust, window: Window, waste: Waste, applied: tuple[HeldBaseline, ...]
) -> Trust:
    covered = waste.covered_s / window.length_s
    if covered < ENOUGH_COVERAGE:
        trust = trust.degraded(
            Quality.UNCERTAIN,
            Reason("INCOMPLETE_INPUT", window.asset_id, f"{covered:.0%} of the window is covered"),
        )
    if waste.covered_s > 0 and waste.uncertain_s / waste.covered_s > MUCH_UNCERTAIN:
        trust = trust.degraded(
            Quality.UNCERTAIN,
            Reason("UNCERTAIN_INPUT", window.asset_id, "readings of Uncertain quality were used"),
        )
    if any(h.baseline.learned.power_source == CURRENT_TIMES_VOLTAGE for h in applied):
        trust = trust.because(
            Reason("DERIVED_POWER", "power", "apparent power: current x voltage, power factor one")
        )
    return trust


def meter_trust(
    use: SignalUse,
    series: Series,
    counted: Counted,
    *,
    at: datetime,
    budget: Budget,
    speed: float,
) -> Trust:
    """Return how far the total of a day can be trusted: fresh at its end, covered, not in doubt."""
    trust = input_trust(use, series, at=at, budget=budget, speed=speed)
    length_s = (counted.day.to_us - counted.day.from_us) / 1e6
    covered = counted.covered_s / length_s
    if covered < ENOUGH_COVERAGE:
        trust = trust.degraded(
            Quality.UNCERTAIN,
            Reason("INCOMPLETE_INPUT", use.name, f"{covered:.0%} of the day is covered"),
        )
    if counted.uncertain:
        trust = trust.degraded(
            Quality.UNCERTAIN,
            Reason("UNCERTAIN_INPUT", use.name, "Uncertain, or a register ran backwards"),
        )
    return trust
