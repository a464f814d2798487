r"""The gradient noise scale: from how many examples on a larger batch stops paying.

McCandlish, Kaplan, Amodei et al. 2018, "An Empirical Model of Large-Batch Training", arXiv
1812.06162, eq. 2.9, B = tr(Σ) / |G|², with G the gradient and Σ the covariance of one example's
gradient over all data. From n examples both are estimated without bias,

    tr Σ̂ = n/(n−1) tr Σ_n,   |G|²  ≈  ‖g_n‖² − tr Σ̂ / n
"""

from samar.curvature.result import Estimate, Report


def noise_scale(trace: Estimate, gradient_norm: float, examples: int) -> Estimate | None:
    """B, in examples.

    Args:
        trace: of the gradient covariance over the examples, with its standard error.
        gradient_norm: ‖g_n‖ of their mean loss.
        examples: n.

    Returns:
        B with the error that comes from the trace's; None where the noise of so few examples is as
        large as the gradient.
    """
    if examples < 2:
        return None
    unbiased = examples / (examples - 1)
    total = unbiased * trace.value
    square = gradient_norm**2 - total / examples
    if square <= 0:
        return None
    slope = gradient_norm**2 / square**2
    return Estimate(total / square, slope * unbiased * trace.error)


def noise_words(report: Report) -> str:
    """What a report of the gradient covariance, with its trace, says of the noise scale."""
    assert report.trace is not None
    found = noise_scale(report.trace.total, report.gradient_norm, report.images)
    if found is None:
        return f"noise scale above {report.images:,}: measure on more images"
    return f"noise scale {found.value:,.4g} ± {found.error:.2g} images"
