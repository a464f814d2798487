r"""The gradient noise scale: from how many examples on a larger batch stops paying.

McCandlish, Kaplan, Amodei et al. 2018, "An Empirical Model of Large-Batch Training", arXiv
1812.06162, eq. 2.9, B = tr(Σ) / |G|², with G the gradient and Σ the covariance of one example's
gradient over all data. From n examples both are estimated without bias,

    tr Σ̂ = n/(n−1) tr Σ_n,   |G|²  ≈  ‖g_n‖² − tr Σ̂ / n

Other examples would give another B. By how much, the jackknife says: both estimates are taken
without one example after the other, for which ⟨g_i, g_n⟩ and ‖g_i‖² of each are enough, and B is
linearized in the two. ‖g_i‖² is the mean of ⟨g_i, s⟩² over random signs s.
"""

import math
from typing import TYPE_CHECKING

from samar.curvature.result import Estimate, Report

if TYPE_CHECKING:
    from samar.curvature.matrices import EmpiricalFisher

PROBES = 24
"""Random signs for the examples' ‖g_i‖²; each costs half a product."""


def noise_scale(
    trace: Estimate, gradient_norm: float, examples: int, spread: float | None = None
) -> Estimate | None:
    """B, in examples.

    Args:
        trace: of the gradient covariance over the examples, with its standard error.
        gradient_norm: ‖g_n‖ of their mean loss.
        examples: n.
        spread: of B over draws of the examples, as :func:`spread_of` finds it.

    Returns:
        B with the error that comes from the trace's and from the spread; None where the noise of so
        few examples is as large as the gradient.
    """
    if examples < 2:
        return None
    unbiased = examples / (examples - 1)
    total = unbiased * trace.value
    square = gradient_norm**2 - total / examples
    if square <= 0:
        return None
    slope = gradient_norm**2 / square**2
    return Estimate(total / square, math.hypot(slope * unbiased * trace.error, spread or 0.0))


def spread_of(
    matrix: "EmpiricalFisher", trace: Estimate, *, seed: int = 0, probes: int = PROBES
) -> float | None:
    """The standard error of B from which examples were drawn.

    Args:
        matrix: over the examples.
        trace: of their gradient covariance.
        seed: of the random signs.

    Returns:
        None where there is no B, or too few examples for an error.
    """
    import torch

    from samar.curvature.solvers.krylov import random_signs
    from samar.device.waiting import on_host

    n, gradient = matrix.examples, matrix.gradient
    norm = on_host(torch.linalg.vector_norm(gradient)).item()
    scale = noise_scale(trace, norm, n)
    if scale is None or n < 3:
        return None
    signs = random_signs(gradient.expand(probes, -1), torch.Generator().manual_seed(seed))
    slopes = matrix.slopes(torch.cat([gradient[None], signs]))
    along, squares = slopes[:, 0], slopes[:, 1:].square().mean(1)
    squares *= (trace.value + norm**2) / squares.mean()  # their mean is known better
    m = n - 1
    without = (n * norm) ** 2 - 2 * n * along + squares  # ‖Σ_{j≠i} g_j‖²
    others = squares.sum() - squares
    totals = (others - without / m) / (m - 1)
    norms = (without - others) / (m * (m - 1))
    square = n / m * trace.value / scale.value  # |G|², without bias
    moved = (totals - scale.value * norms) / square
    variance = on_host((moved - moved.mean()).square().sum()).item()
    return math.sqrt(m / n * variance)


def noise_of(report: Report) -> Estimate | None:
    """B as :func:`noise_scale`, from a report of the gradient covariance with its trace.

    Its error is NaN where the report does not say how much other examples would change it.
    """
    assert report.trace is not None
    spread = math.nan if report.noise_spread is None else report.noise_spread
    return noise_scale(report.trace.total, report.gradient_norm, report.images, spread)


def noise_words(report: Report) -> str:
    """What a report of the gradient covariance, with its trace, says of the noise scale."""
    found = noise_of(report)
    if found is None:
        return f"noise scale above {report.images:,}: measure on more images"
    error = "" if report.noise_spread is None else f" ± {found.error:.2g}"
    return f"noise scale {found.value:,.4g}{error} images"
