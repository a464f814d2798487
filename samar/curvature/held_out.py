r"""What eigenvalues from a few images are worth for all of them.

The largest eigenvalue of a mean over n images is, on average over the draws of the images, at least
that over all images, because it is a maximum: E λ₁(A_n) ≥ λ₁(E A_n). Its eigenvector v is fitted to
those images. On other images vᵀAv has no such bias, and by Rayleigh's principle

    vᵀAv ≤ λ₁(A)

so the two enclose the eigenvalue over all images: the first in the mean, the second up to its
standard error. For the k largest the same holds of their sum (Fan 1949): a single later one of them
need not lie between its two numbers.
"""

import math

from torch import Tensor

from samar.curvature.product import CurvatureMatrix, batch_size_on
from samar.curvature.result import Estimate
from samar.data.objective import Objective
from samar.errors import ConfigError

PIECES = 16
"""A standard error comes from at least so many pieces of equal size, where there are examples
enough."""


def piece_size(other: Objective) -> int:
    """In pieces of how many examples other examples are gone through.

    Raises:
        ConfigError: they do not make two pieces of equal size, which a standard error needs.
    """
    size = max(1, min(batch_size_on(other.device), len(other) // PIECES))
    first, *more = (len(piece) for piece in other.pieces(size))
    if first not in more:
        raise ConfigError(
            f"held_out has only one batch of {first} examples, but a standard error needs at least "
            "two of the same size; give several, or batch_size= if the loss is a mean over "
            "examples."
        )
    return size


def along(matrix: CurvatureMatrix, vectors: Tensor) -> tuple[Estimate, ...]:
    """vᵀAv of each row v of (k, n), with its standard error over the examples.

    Args:
        matrix: A, a mean over examples that come in pieces of equal size; a smaller last one is
            left out of the error.
        vectors: unit rows, fitted to other examples.

    Raises:
        ConfigError: a value is not finite.
    """
    sizes, values = matrix.forms(vectors)
    means = sizes.double() @ values / sizes.sum()
    full = values[sizes == sizes[0]]
    errors = full.std(0) / math.sqrt(len(full)) if len(full) > 1 else means * math.nan
    if not means.isfinite().all():
        raise ConfigError(
            "The curvature on other examples is not finite; choose weights from before the run "
            "diverged."
        )
    return tuple(map(Estimate, means.tolist(), errors.tolist()))
