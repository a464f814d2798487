"""The k largest eigenvalues of the Hessian, each with its residual, and the other end.

Thick-restart Lanczos (Wu and Simon, "Thick-Restart Lanczos Method for Large Symmetric Eigenvalue
Problems", SIAM J. Matrix Anal. 2000) on the Hessian-vector product. It stops when every wanted pair
has

    ‖H y_i − θ_i y_i‖ < tol · |θ_i|

or, where |θ_i| is so small that rounding alone is more, a residual of at most twice the rounding.
An eigenvalue then lies within that of θ_i; the true error is usually of the order of the
residual squared over the gap to the next eigenvalue, so a tolerance of 1e-2 often gives four
digits. Memory is that of the basis: when it is full, the space shrinks to its best vectors and
grows again.

A Lanczos run sees one copy of a multiple eigenvalue.
"""

from collections.abc import Callable, Sequence
from time import perf_counter

import torch
from torch import Tensor, nn

from samar.curvature.catalog import MAX_PRODUCTS
from samar.curvature.product import CurvatureMatrix, OnBatch, hessian_of
from samar.curvature.result import Spectrum
from samar.curvature.solvers.krylov import KrylovSpace, random_normal, room_for
from samar.data.objective import Objective
from samar.errors import ConfigError

WARM_NOISE, COLD_NOISE = 0.1, 1.0
"""Length of the random direction that is added to a start of length 1, so that every eigenvector
can be found. The start is the eigenvectors of before or else the gradient, which lies largely in
the top eigenspace (Gur-Ari et al. 2018, arXiv 1812.04754): h₁ is within 2 % after four products."""

AT_ROUNDING = 2.0
"""An eigenvalue that rounding hides may have a residual of so many times the rounding."""

OnProduct = Callable[[int, float], None]
"""Called after each product with their number and the largest relative residual of the wanted pairs
(infinite while there are fewer pairs than wanted); may raise to cancel."""


OnEstimate = Callable[[Sequence[float], Sequence[float]], None]
"""Called after each product with the wanted eigenvalues so far, descending, and their residuals."""


def top_eigenvalues(
    model: nn.Module,
    sample: Objective,
    *,
    k: int = 5,
    tol: float = 1e-3,
    max_products: int = MAX_PRODUCTS,
    start: Tensor | None = None,
    both_ends: bool = False,
    seed: int = 0,
    batch_size: int | None = None,
    on_product: OnProduct | None = None,
    on_estimate: OnEstimate | None = None,
    on_batch: OnBatch | None = None,
) -> Spectrum:
    """Top eigenvalues of the Hessian of the mean cross-entropy; the model is left as it was.

    Args:
        model: may be a live one, in mid-training.
        sample: the images.
        k: how many eigenvalues.
        tol: largest residual relative to each eigenvalue, positive.
        max_products: give up, with ``converged=False``, after so many.
        start: ``vectors`` of an earlier result, or one vector (n,); the gradient and a random
            direction if None.
        both_ends: whether the k smallest must converge too.
        seed: of the random part of the start.
        batch_size: images per pass, what suits the device if None.
        on_product: progress; see :data:`OnProduct`.
        on_estimate: see :data:`OnEstimate`.
        on_batch: see :data:`samar.curvature.product.OnBatch`.

    Raises:
        ConfigError: k, tol or max_products is out of range, there is no image or no trainable
            parameter, the start vector has another size, or the loss is not finite.
    """
    with hessian_of(model, sample, batch_size=batch_size, on_batch=on_batch) as hessian:
        return top_of(
            hessian,
            k=k,
            tol=tol,
            max_products=max_products,
            start=start,
            both_ends=both_ends,
            seed=seed,
            on_product=on_product,
            on_estimate=on_estimate,
        )


def top_of(
    matrix: CurvatureMatrix,
    *,
    k: int,
    tol: float,
    max_products: int = MAX_PRODUCTS,
    start: Tensor | None = None,
    both_ends: bool = False,
    seed: int = 0,
    on_product: OnProduct | None = None,
    on_estimate: OnEstimate | None = None,
    scaling: Tensor | None = None,
    decisive: int | None = None,
) -> Spectrum:
    """:func:`top_eigenvalues` of an operator at hand.

    Args:
        decisive: how many of the k must converge; all if None.
        scaling: d (n,), to take the eigenvalues of diag(d) A diag(d) instead.
    """
    check(len(matrix), k, tol, max_products)
    began = perf_counter()
    generator = torch.Generator().manual_seed(seed)
    product = matrix.__matmul__
    if scaling is not None:
        product = lambda v: scaling * (matrix @ (scaling * v))  # noqa: E731
    first = _start(matrix, start, generator, scaling)
    room = room_for(first, 3 * k + 10, max_products)
    space = KrylovSpace(product, first, room, generator)
    products = 0
    while True:
        space.grow()
        products += 1
        ritz = space.ritz()
        wanted = [*range(space.size)[-(decisive or k) :]]
        if both_ends:
            wanted = sorted({*wanted, *range(space.size)[:k]})
        sizes, least = abs(ritz.values[wanted]), ritz.rounding / tol
        sizes[sizes < least] = AT_ROUNDING * least  # such as an eigenvalue of zero
        relative = ritz.residuals[wanted] / (sizes + 1e-30)
        worst = float(relative.max()) if space.size >= k else float("inf")
        if on_estimate:
            best = [*range(space.size)[: -k - 1 : -1]]
            on_estimate(ritz.values[best].tolist(), ritz.residuals[best].tolist())
        if on_product:
            on_product(products, worst)
        # Where the whole space is spanned all is exact, also an eigenvalue of zero.
        converged = worst < tol or space.size == len(matrix)
        if converged or products >= max_products:
            break
        if space.size == space.capacity:
            space.restart(ritz, _kept(space.size, k))
    high, low = [*range(space.size)[: -k - 1 : -1]], [*range(space.size)[:k]]
    return Spectrum(
        values=tuple(ritz.values[high].tolist()),
        residuals=tuple(ritz.residuals[high].tolist()),
        vectors=space.vectors(ritz, high),
        lowest=tuple(ritz.values[low].tolist()),
        lowest_residuals=tuple(ritz.residuals[low].tolist()),
        products=products,
        converged=converged,
        loss=matrix.loss,
        seconds=perf_counter() - began,
    )


def check(size: int, k: int, tol: float, max_products: int) -> None:
    """Refuse what no solver could do.

    Raises:
        ConfigError: k, tol or max_products is out of range.
    """
    if not 1 <= k <= size:
        raise ConfigError(
            f"{k} eigenvalues were asked for, but the model has {size} trainable parameters; "
            f"choose between 1 and {size}."
        )
    if not tol > 0:
        raise ConfigError(f"The tolerance is {tol:g}; choose a positive one, such as 1e-3.")
    if max_products < k:
        raise ConfigError(f"{k} eigenvalues need at least {k} products, not {max_products}.")


def _kept(size: int, k: int) -> list[int]:
    """Ritz vectors that survive a restart: the wanted ones, as many again, and the low end."""
    return sorted({*range(min(k, size // 4)), *range(size - 2 * k, size)})


def _start(
    matrix: CurvatureMatrix,
    start: Tensor | None,
    generator: torch.Generator,
    scaling: Tensor | None,
) -> Tensor:
    noise = random_normal(matrix.gradient, generator)
    if start is None:
        known = matrix.gradient if scaling is None else scaling * matrix.gradient
        share = COLD_NOISE
    else:
        if start.shape[-1] != len(matrix):
            raise ConfigError(
                f"The start vector has {start.shape[-1]} numbers, but the model has {len(matrix)} "
                "trainable parameters; start from the same network."
            )
        known, share = start.reshape(-1, len(matrix)).sum(0).to(noise), WARM_NOISE
    # A gradient of zero leaves the random direction.
    least = torch.finfo(noise.dtype).tiny
    unit: Tensor = known / torch.linalg.vector_norm(known).clamp(min=least)
    return unit.add_(noise / noise.norm(), alpha=share)
