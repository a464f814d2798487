r"""The trace of the Hessian, whole and layer by layer, with its standard error: Hutch++.

Meyer, Musco, Musco and Woodruff, "Hutch++: Optimal Stochastic Trace Estimation", SOSA 2021, arXiv
2010.09649. With a third of the products sketch H S and take Q = orth(H S); with another third take
the trace on Q exactly; with the last third estimate the rest with random signs g, where Π = I − Q
Qᵀ:

    tr H = tr(Qᵀ H Q) + E[gᵀ Π H Π g]

Layers: with P_l the projection on a layer's coordinates, tr(P_l H) is split the same way,

    tr(P_l H) = Σ_i (H q_i)_l · (q_i)_l + Σ_i (Π H q_i)_l · (q_i)_l + E[g_lᵀ (Π H Π g)_l]

which takes no further product, because H Q is at hand, and whose sum over the layers is the
estimate of the whole. (The first line's second term is absent there because Qᵀ Π = 0.)
"""

import math

import torch
from torch import Tensor

from samar.curvature.catalog import TRACE_PRODUCTS
from samar.curvature.product import CurvatureMatrix
from samar.curvature.result import Estimate, Trace
from samar.curvature.solvers.eigenvalues import OnProduct
from samar.curvature.solvers.krylov import random_signs
from samar.device.waiting import on_host
from samar.errors import ConfigError


def hessian_trace(
    matrix: CurvatureMatrix,
    *,
    products: int = TRACE_PRODUCTS,
    seed: int = 0,
    on_product: OnProduct | None = None,
) -> Trace:
    """Estimate the trace by Hutch++.

    Args:
        matrix: of size n.
        products: at least 6; with 3 n or more the trace is exact.
        seed: of the sketch and the probes.
        on_product: called with the number of products so far and NaN; may raise to cancel.

    Raises:
        ConfigError: there are fewer than 6 products.
    """
    if products < 6:
        raise ConfigError(f"A trace from {products} products has no error bar; take at least 6.")
    generator = torch.Generator().manual_seed(seed)
    done = 0

    def times(rows: Tensor) -> Tensor:
        nonlocal done
        result = torch.empty_like(rows)
        for i, row in enumerate(rows):
            result[i] = matrix @ row
            done += 1
            if on_product:
                on_product(done, float("nan"))
        return result

    third = min(products // 3, len(matrix))
    like = matrix.gradient.expand(third, -1)
    sketch = times(random_signs(like, generator))
    q = torch.linalg.qr(sketch.T).Q.T.contiguous()  # (third, n)
    hq = times(q)
    outside = hq - (hq @ q.T) @ q  # Π H q
    exact = ((hq + outside) * q).sum(0)  # (n,), sums to the trace on Q
    if third == len(matrix):
        samples = torch.zeros(1, len(matrix)).to(q)
    else:
        g = random_signs(like, generator)
        hg = times(g - (g @ q.T) @ q)
        samples = g * (hg - (hg @ q.T) @ q)  # (third, n), rows sum to gᵀ Π H Π g
    layers = {
        name: _estimate(exact[part].sum(), samples[:, part].sum(1))
        for name, part in matrix.layers.items()
    }
    return Trace(_estimate(exact.sum(), samples.sum(1)), layers, done)


def _estimate(exact: Tensor, samples: Tensor) -> Estimate:
    samples = on_host(samples).double()
    spread = samples.std().item() if len(samples) > 1 else 0.0
    value = on_host(exact).double().item() + samples.mean().item()
    return Estimate(value, spread / math.sqrt(len(samples)))
