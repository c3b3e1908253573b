"""Turn a tipped chart into evidence, a failure mode and a probability."""

import math
from dataclasses import dataclass
from typing import Final

from maintenance_twin.decide.chart import Chart, limits_of
from maintenance_twin.decide.failure_mode import Deviation, failure_mode_of
from maintenance_twin.decide.prognosis import Outlook, lead_time_s, probability_of
from maintenance_twin.model.signal import Role
from maintenance_twin.model.tuning import US, Tuning
from maintenance_twin.model.work_item import Direction, Evidence, FailureMode, Probability

MAX_EVIDENCE: Final = 8


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an item opens."""

    failure_mode: FailureMode
    probability: Probability
    evidence: tuple[Evidence, ...]
    lead_time_s: float | None


@dataclass(frozen=True, slots=True)
class _Finding:
    """One track, against the healthy level from which it is further away."""

    index: int
    multiple: float
    expected: float
    observed: float
    limit: float


def diagnose(chart: Chart, tuning: Tuning) -> Diagnosis:
    """Say what deviates and what that means, most telling signal first."""
    findings = sorted(
        (_finding(chart, index, tuning) for index in range(len(chart.baseline.tracks))),
        key=lambda f: (-abs(f.multiple), chart.baseline.tracks[f.index].name),
    )
    telling = [f for f in findings if abs(f.multiple) >= tuning.release_ratio][:MAX_EVIDENCE]
    telling = telling or findings[:1]
    total = sum(f.multiple**2 for f in telling) or 1.0
    return Diagnosis(
        failure_mode=failure_mode_of(_by_role(chart, findings), healthy_below=tuning.release_ratio),
        probability=probability_of((_outlook(chart, f, tuning) for f in telling), tuning.horizon_s),
        evidence=tuple(_evidence(chart, f, f.multiple**2 / total) for f in telling),
        lead_time_s=_lead_time(chart, telling[0], tuning),
    )


def _finding(chart: Chart, index: int, tuning: Tuning) -> _Finding:
    state, track = chart.state, chart.baseline.tracks[index]
    limits = limits_of(track, state.reference[index], tuning)
    level = state.level[index]
    candidates = [
        _Finding(index, (level - track.mean) / limits.slow, track.mean, level, limits.slow)
    ]
    if math.isfinite(limits.sudden):
        reference = state.reference[index]
        away = (level - reference) / limits.sudden
        candidates.append(_Finding(index, away, reference, level, limits.sudden))
    if limits.upward_only:
        candidates = [f for f in candidates if f.multiple > 0.0] or [
            _Finding(index, 0.0, track.mean, level, limits.slow)
        ]
    return max(candidates, key=lambda f: abs(f.multiple))


def _by_role(chart: Chart, findings: list[_Finding]) -> dict[Role, Deviation]:
    """Return the largest deviation per role; findings come most telling first."""
    deviations: dict[Role, Deviation] = {}
    for finding in findings:
        track = chart.baseline.tracks[finding.index]
        scale = max(abs(finding.expected), track.spread)
        deviations.setdefault(
            track.role,
            Deviation(
                multiple=finding.multiple,
                ratio=(finding.observed - finding.expected) / scale,
                level_sd_ratio=track.level_sd / scale,
            ),
        )
    return deviations


def _outlook(chart: Chart, finding: _Finding, tuning: Tuning) -> Outlook:
    track = chart.baseline.tracks[finding.index]
    limits = limits_of(track, finding.expected, tuning)
    return Outlook(
        deviation=finding.observed - finding.expected,
        acceptable=limits.slow,
        level_sd=track.level_sd,
        drift_var_per_s=track.drift_var_per_s,
        upward_only=limits.upward_only,
    )


def _evidence(chart: Chart, finding: _Finding, share: float) -> Evidence:
    track = chart.baseline.tracks[finding.index]
    above = finding.observed >= finding.expected
    return Evidence(
        signal=track.name,
        unit=track.unit,
        expected=finding.expected,
        observed=finding.observed,
        limit=finding.limit,
        direction=Direction.ABOVE if above else Direction.BELOW,
        since_us=chart.onset_us,
        share=share,
    )


def _lead_time(chart: Chart, finding: _Finding, tuning: Tuning) -> float | None:
    """Return the lead time where the deviation is old enough for its slope to be read.

    Of a steady ramp, the level lags by its own time constant and the slow level by its own, so
    their difference over the difference of the constants is the slope.
    """
    state, track = chart.state, chart.baseline.tracks[finding.index]
    if state.last_us - chart.baseline.to_us < 2.0 * tuning.slow_s * US:
        return None
    ramp = state.level[finding.index] - state.slow[finding.index]
    slope = ramp / (tuning.slow_s - tuning.level_s)
    if abs(ramp) < 2.0 * track.level_sd:
        return None
    return lead_time_s(
        deviation=state.level[finding.index] - track.mean,
        slope_per_s=slope,
        acceptable=limits_of(track, track.mean, tuning).slow,
    )
