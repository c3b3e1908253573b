"""Quantiles of the distributions behind the limits, from the standard library alone."""

import math
from typing import Final

from twinmesh_sdk.core.errors import InvalidInputError

_TINY: Final = 1e-300
_TERMS: Final = 400


def normal_cdf(z: float) -> float:
    """Return the standard normal distribution function.

    >>> round(normal_cdf(1.96), 3)
    0.975
    """
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def _guarded(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction of the incomplete beta function (modified Lentz)."""
    c, d = 1.0, 1.0 / _guarded(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for term in (even, odd):
            d = 1.0 / _guarded(1.0 + term * d)
            c = _guarded(1.0 + term / c)
            fraction *= d * c
        if abs(d * c - 1.0) < 1e-13:
            break
    return fraction


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Source: Press et al., Numerical Recipes, 3rd ed., 6.4.
    """
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, 1.0 - x) / b


def f_upper_tail(f: float, d1: float, d2: float) -> float:
    """Return P(F > f) for d1 and d2 degrees of freedom."""
    return beta_cdf(d2 / (d2 + d1 * f), d2 / 2.0, d1 / 2.0)


def f_quantile(upper: float, d1: float, d2: float) -> float:
    """Return the value that F(d1, d2) exceeds with probability `upper`.

    Raises:
        InvalidInputError: `upper` is no probability, or a degree of freedom is not positive.

    >>> round(f_quantile(0.05, 5, 40), 2)
    2.45
    """
    if not 0.0 < upper < 1.0 or d1 <= 0 or d2 <= 0:
        raise InvalidInputError(f"need 0 < upper < 1 and degrees > 0, got {upper=} {d1=} {d2=}")
    low, high = 0.0, 1.0
    while f_upper_tail(high, d1, d2) > upper and high < 1e300:
        low, high = high, high * 2.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if f_upper_tail(middle, d1, d2) > upper:
            low = middle
        else:
            high = middle
    return high


def hotelling_limit(upper: float, signals: int, rows: float) -> float:
    """Return the T2 limit of one future observation, mean and covariance being estimated.

    Args:
        upper: Probability of exceeding it under health.
        signals: Number p of signals.
        rows: Number of *independent* rows that taught mean and covariance, > p.

    Source:
        Montgomery, Introduction to Statistical Quality Control, 8th ed., eq. 11.23 (phase II):
        p (n+1)(n-1) / (n (n-p)) F(p, n-p).
    """
    p, n = signals, rows
    if n <= p:
        raise InvalidInputError(f"need more independent rows than signals, got {n} for {p}")
    return p * (n + 1.0) * (n - 1.0) / (n * (n - p)) * f_quantile(upper, p, n - p)
