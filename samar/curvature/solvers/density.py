r"""The density of all eigenvalues, by stochastic Lanczos quadrature.

Ubaru, Chen and Saad, SIAM J. Matrix Anal. 2017; for networks Ghorbani et al. 2019, arXiv
1901.10159. For a random vector v with E[v vᵀ] = I and ‖v‖² = n, Lanczos from v gives nodes θ_i and
weights w_i, the Gaussian quadrature of v's spectral measure; its mean over v is the spectral
density

    φ(t) = 1/n Σ_j δ(t − λ_j)  ≈  1/N Σ_v Σ_i w_i g_σ(t − θ_i),   g_σ a Gaussian of deviation σ

All of v's entries are ±1. Lanczos keeps full orthogonality, so there are no ghost eigenvalues. Of
the trace n · mean(Σ w θ) this is Hutchinson's estimate.
"""

import numpy as np
import torch

from samar.curvature.product import CurvatureMatrix
from samar.curvature.result import Density
from samar.curvature.solvers.eigenvalues import OnProduct
from samar.curvature.solvers.krylov import KrylovSpace, random_signs, room_for

PROBES = 3
STEPS = 80
GRID = 1000
RESOLUTION = 200
"""σ is the width of the spectrum over this."""

BULK = 0.99
"""Share of the eigenvalues that are called bulk, however far they reach."""

RESOLVED = 1e-3
"""A Ritz value counts as an eigenvalue if its residual is below this share of the largest one."""


def spectral_density(
    matrix: CurvatureMatrix,
    *,
    probes: int = PROBES,
    steps: int = STEPS,
    seed: int = 0,
    on_product: OnProduct | None = None,
) -> Density:
    """Estimate the density of the Hessian's eigenvalues.

    Args:
        matrix: of size n.
        probes: random vectors that are averaged over.
        steps: of Lanczos per vector; fewer if n is smaller or the basis would not fit into memory.
        seed: of the vectors.
        on_product: called with the number of products so far and NaN; may raise to cancel.
    """
    generator = torch.Generator().manual_seed(seed)
    room = room_for(matrix.gradient, 20, min(steps, len(matrix)))
    steps = min(steps, len(matrix), room.vectors)
    runs, products = [], 0
    for _ in range(probes):
        start = random_signs(matrix.gradient, generator)
        space = KrylovSpace(matrix.__matmul__, start, room, generator)
        for _ in range(steps):
            space.grow()
            products += 1
            if on_product:
                on_product(products, float("nan"))
        runs.append(space.ritz())
    order = np.argsort(np.concatenate([run.values for run in runs]))
    nodes = np.concatenate([run.values for run in runs])[order]
    weights = np.concatenate([run.weights for run in runs])[order] / probes
    width = max(nodes[-1] - nodes[0], 1e-12)
    sigma = width / RESOLUTION
    grid = np.linspace(nodes[0] - 5 * sigma, nodes[-1] + 5 * sigma, GRID)
    shares = weights / (sigma * np.sqrt(2 * np.pi))
    density = np.exp(-0.5 * ((grid[:, None] - nodes) / sigma) ** 2) @ shares
    traces = [len(matrix) * float(run.weights @ run.values) for run in runs]
    spread = float(np.std(traces, ddof=1)) if probes > 1 else float("nan")
    low, high = np.interp([(1 - BULK) / 2, (1 + BULK) / 2], np.cumsum(weights), nodes)
    first = runs[0]
    resolved = first.values[first.residuals < RESOLVED * np.abs(nodes).max()]
    return Density(
        grid=grid,
        density=density,
        nodes=nodes,
        weights=weights,
        sigma=sigma,
        outliers=resolved[(resolved < low) | (resolved > high)],
        lowest=float(nodes[0]),
        highest=float(nodes[-1]),
        trace=float(np.mean(traces)),
        trace_error=spread / float(np.sqrt(probes)),
        probes=probes,
        steps=steps,
        products=products,
    )
