"""Energy wasted in a window, with a 90 % interval."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Final

from energy_twin.decide.digest import digest_of_all
from energy_twin.decide.steps import Steps
from energy_twin.model.baseline import HeldBaseline
from energy_twin.model.estimate import Waste, Window

COVERAGE: Final = 0.90
_Z: Final = NormalDist().inv_cdf(0.5 + COVERAGE / 2)


def student_90(degrees: float) -> float:
    """Return the 95 % quantile of Student's t: half of a 90 % interval lies within it.

    Args:
        degrees: Of freedom, >= 2. Off by less than 1 % at 2, by less than 0.1 % from 4 on.

    Source:
        Cornish-Fisher expansion, Abramowitz and Stegun, Handbook of Mathematical Functions, 1972,
        26.7.5.

    >>> round(student_90(19), 3)
    1.729
    """
    z = _Z
    n = max(degrees, 2.0)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * n**4)
    )


def waste_in(
    steps: Steps | None, window: Window, baselines: Sequence[HeldBaseline]
) -> tuple[Waste | None, tuple[HeldBaseline, ...]]:
    """Return the energy wasted in a window, and the baselines that were applied.

    Energy and volume are integrals of step functions, so waste is additive over disjoint windows,
    and zero where the pump needs what its baseline says. Each stretch is held against the baseline
    of the configuration that was active in it; stretches without one are not covered.

    The interval holds two independent parts. The noise of the window: block residuals of the
    baseline, T / block_s of them. The baseline's own error, which grows with the volume. Student's
    t with the blocks' degrees of freedom allows for both being estimated.

    Returns:
        None as waste when no time is covered.
    """
    if steps is None:
        return None, ()
    total, applied, parts = Waste(), [], []
    degrees = float("inf")
    for held in sorted(baselines, key=lambda b: b.baseline.period.from_us):
        period = held.baseline.period
        part = steps.within(max(window.from_us, period.from_us), min(window.to_us, period.to_us))
        if part.starts_us.size == 0:
            continue
        applied.append(held)
        parts.append((part.starts_us, part.seconds, part.power_w, part.flow_m3_per_s))
        total = _plus(total, part, held)
        degrees = min(degrees, held.baseline.learned.effective_blocks - 1.0)
    if not applied:
        return None, ()
    half = student_90(degrees) * sqrt(total.variance_j2)
    return (
        Waste(
            total.actual_j,
            total.expected_j,
            total.volume_m3,
            total.variance_j2,
            half,
            total.covered_s,
            total.uncertain_s,
            digest_of_all(parts),
        ),
        tuple(applied),
    )


def _plus(total: Waste, part: Steps, held: HeldBaseline) -> Waste:
    """Return the sum with another stretch, under its own baseline."""
    told = held.baseline.learned
    seconds = part.seconds
    covered_s = float(seconds.sum())
    volume_m3 = float(part.flow_m3_per_s @ seconds)
    noise_j2 = told.residual_w**2 * told.block_s * covered_s
    model_j2 = (told.standard_error_j_per_m3 * volume_m3) ** 2
    return Waste(
        actual_j=total.actual_j + float(part.power_w @ seconds),
        expected_j=total.expected_j + told.specific_energy_j_per_m3 * volume_m3,
        volume_m3=total.volume_m3 + volume_m3,
        variance_j2=total.variance_j2 + noise_j2 + model_j2,
        covered_s=total.covered_s + covered_s,
        uncertain_s=total.uncertain_s + float(seconds[part.grades > 0].sum()),
    )
