"""Mean, standard deviation and confidence interval over a few seeds.

Reference:
    Student, "The Probable Error of a Mean", Biometrika 1908.
    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev

NAN = float("nan")
CONFIDENCE = 0.95


@dataclass(frozen=True)
class MeanStd:
    """Mean and sample standard deviation (divisor n − 1) of n values; NaN where undefined."""

    mean: float
    std: float
    n: int

    @property
    def percent(self) -> str:
        """Fractions as percentages, such as "93.10 ± 0.42"; empty where there is no mean."""
        if math.isnan(self.mean):
            return ""
        return f"{100 * self.mean:.2f}" + (
            "" if math.isnan(self.std) else f" ± {100 * self.std:.2f}"
        )


@dataclass(frozen=True)
class Interval:
    """Mean of n values with the ends of its 95 % interval, NaN for a single value."""

    mean: float
    low: float
    high: float
    n: int


def mean_std(values: Iterable[float]) -> MeanStd:
    """Mean and sample standard deviation; NaN among the values makes both NaN."""
    known = list(values)
    if any(map(math.isnan, known)):
        return MeanStd(NAN, NAN, len(known))
    return MeanStd(
        fmean(known) if known else NAN, stdev(known) if len(known) > 1 else NAN, len(known)
    )


def t_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean."""
    found = mean_std(values)
    half = NAN
    if found.n > 1:
        half = t_quantile(found.n - 1) * found.std / math.sqrt(found.n)
    return Interval(found.mean, found.mean - half, found.mean + half, found.n)


@cache
def t_quantile(freedom: int) -> float:
    """The t that a Student variable exceeds in magnitude with probability 5 %.

    Bisection on θ = atan(t / √ν), in which the probability P(|T| ≤ t) is a finite sum.

    Args:
        freedom: ν, degrees of freedom, at least 1.
    """
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if _within(middle, freedom) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return math.tan(low) * math.sqrt(freedom)


def _within(angle: float, freedom: int) -> float:
    """P(|T| ≤ √ν tan θ)."""
    odd = freedom % 2
    cosine, total = math.cos(angle), 0.0
    term = cosine if odd else 1.0
    for k in range(2 + odd, freedom + 1, 2):
        total += term
        term *= cosine**2 * (k - 1) / k
    partial = math.sin(angle) * total
    return 2 / math.pi * (angle + partial) if odd else partial
