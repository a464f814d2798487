r"""What eigenvalues from a few images are worth for all of them.

The largest eigenvalue of a mean over n images is, on average over the draws of the images, at least
that over all images, because it is a maximum: E λ₁(A_n) ≥ λ₁(E A_n). Its eigenvector v is fitted to
those images. On other images vᵀAv has no such bias, and by Rayleigh's principle

    vᵀAv ≤ λ₁(A)

so the two enclose the eigenvalue over all images: the first in the mean, the second up to its
standard error.
"""

import math
from statistics import fmean, stdev

from torch import Tensor

from samar.curvature.product import CurvatureMatrix, flat
from samar.curvature.result import Estimate
from samar.device.waiting import on_host

PIECES = 16
"""A standard error comes from so many pieces of equal size, where there are examples enough."""


def along(matrix: CurvatureMatrix, vectors: Tensor) -> tuple[Estimate, ...]:
    """vᵀAv of each row v of (k, n), with its standard error over the examples.

    Args:
        matrix: A, a mean over examples that come in pieces of equal size; a smaller last one is
            left out. It takes one product for each vector.
        vectors: unit rows, fitted to other examples.
    """
    found = []
    for vector in vectors:
        tangent = matrix.unflat(vector.to(matrix.gradient))
        pieces = [
            (len(piece), on_host(vector @ flat(matrix.part(index, piece, tangent))).item())
            for index, piece in enumerate(matrix.batches())
        ]
        values = [value for size, value in pieces if size == pieces[0][0]]
        error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        found.append(Estimate(fmean(values), error))
    return tuple(found)
