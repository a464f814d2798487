"""Mean, standard deviation and confidence interval over a few seeds.

Reference:
    Student, "The Probable Error of a Mean", Biometrika 1908.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
    from scipy.special import stdtrit  # pages are drawn before SciPy is loaded

    found = mean_std(values)
    half = NAN
    if found.n > 1:
        half = float(stdtrit(found.n - 1, (1 + CONFIDENCE) / 2)) * found.std / math.sqrt(found.n)
    return Interval(found.mean, found.mean - half, found.mean + half, found.n)
