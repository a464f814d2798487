r"""Rank correlation of two quantities over a set of models, with an interval.

Kendall, "A New Measure of Rank Correlation", Biometrika 1938; τ_b with ties (Kendall 1945):

.. math::
    \tau_b = \frac{\sum_{ij} \operatorname{sgn}(x_i - x_j)\operatorname{sgn}(y_i - y_j)}
                  {\sqrt{\sum_{ij} |\operatorname{sgn}(x_i - x_j)| \,
                         \sum_{ij} |\operatorname{sgn}(y_i - y_j)|}}

Jiang et al., "Fantastic Generalization Measures and Where to Find Them" (ICLR 2020, arXiv
1912.02178) judge sharpness measures by it. The interval is Efron's percentile bootstrap over models
(Efron 1979): models are drawn with replacement and weighted by how often they were drawn, so that
two copies of one model are a tie. The p value is SciPy's, exact for few models without ties.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Association:
    """How two quantities go together over models.

    Attributes:
        tau: Kendall's τ_b; NaN if one of them is the same for all models.
        low, high: 95 % percentile bootstrap interval.
        p: probability of a |τ| at least as large if the two were independent.
        n: how many models have both.
    """

    tau: float
    low: float
    high: float
    p: float
    n: int

    @property
    def sign(self) -> int:
        """1 or −1 if the interval lies on one side of zero, else 0."""
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


def associations(
    x: Sequence[float | None], y: Sequence[float | None], *, seed: int = 0
) -> Association:
    """Kendall's τ_b of x and y with its bootstrap interval.

    Args:
        x, y: one value per model, None or NaN where there is none; such models are left out.
        seed: of the resampling; the same seed gives the same interval.
    """
    pairs = np.array([x, y], dtype=float)
    pairs = pairs[:, np.isfinite(pairs).all(0)]
    n = pairs.shape[1]
    if n < 2:
        return Association(float("nan"), float("nan"), float("nan"), float("nan"), n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns where one side is constant
        tau, p = kendalltau(*pairs)
    drawn = bootstrap(*pairs, seed=seed)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail)) if drawn.size else (float("nan"), float("nan"))
    return Association(float(tau), float(low), float(high), float(p), n)


def bootstrap(
    x: npt.NDArray[np.floating],
    y: npt.NDArray[np.floating],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> npt.NDArray[np.floating]:
    """τ_b of resampled models, without the resamples in which it is not defined.

    Args:
        x, y: (n,) finite.
    """
    n = len(x)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples).astype(float)
    a, b = (np.sign(values[:, None] - values[None, :]) for values in (x, y))

    def total(signs: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        return np.asarray(((weights @ signs) * weights).sum(1))

    below = np.sqrt(total(np.abs(a)) * total(np.abs(b)))
    defined = below > 0
    return np.asarray(np.clip(total(a * b)[defined] / below[defined], -1.0, 1.0))
