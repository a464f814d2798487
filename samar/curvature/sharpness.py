"""Everything that goes by the name of sharpness, measured on the same weights and images.

Definitions, costs and caveats are in :data:`samar.curvature.catalog.MEASURES`. The largest
eigenvalue h₁ and the trace change when a ReLU network's layers are rescaled, although the function
does not (Dinh, Pascanu, Bengio and Bengio, ICML 2017). Multiplying by the weights undoes it: with
θ → Dθ the gradient becomes D⁻¹g and the Hessian D⁻¹HD⁻¹, so T g and T H T with T = diag(|θ|) stay
the same up to signs (Kwon et al. 2021, ASAM; Tsuzuku, Sato and Sugiyama 2020, "Normalized Flat
Minima").

Departure: the average case takes z and −z together, which removes the gradient's part of the noise.
"""

import math
from statistics import fmean, stdev

import torch
from torch import Tensor

from samar.curvature.product import Hessian
from samar.curvature.result import Estimate, Measure, Spectrum, Trace
from samar.curvature.solvers.eigenvalues import OnProduct, top_of
from samar.curvature.solvers.krylov import random_normal
from samar.device.waiting import on_host

GAUSSIAN_PAIRS = 20


def sharpness_measures(
    hessian: Hessian,
    spectrum: Spectrum,
    trace: Trace | None,
    *,
    rho: float,
    tol: float = 1e-2,
    seed: int = 0,
    on_product: OnProduct | None = None,
) -> tuple[Measure, ...]:
    """Measure all of :data:`samar.curvature.catalog.MEASURES`, in that order.

    Args:
        hessian: at the weights in question.
        spectrum, trace: measured before; ratio and trace are left out if they are too short or
            None.
        rho: radius ρ > 0; of T⁻¹θ for the adaptive measures.
        tol: of the scale-adjusted h₁.
        seed: of the random directions.
        on_product: progress of the scale-adjusted h₁.
    """
    values, gradient, scale = spectrum.values, hessian.gradient, hessian.point.abs()
    ratio = values[0] / values[4] if len(values) > 4 and values[4] else None
    average = gaussian_sharpness(hessian, rho=rho, seed=seed)
    scaled = top_of(hessian, k=1, tol=tol, scaling=scale, seed=seed, on_product=on_product)
    adaptive = scale * gradient  # T g
    return (
        Measure("lambda_max", values[0], spectrum.residuals[0]),
        Measure("lambda_ratio", ratio),
        Measure("trace", trace.total.value, trace.total.error) if trace else Measure("trace", None),
        Measure("sam_first_order", rho * on_host(gradient.norm()).item()),
        Measure("sam_ascent", _climb(hessian, rho * gradient, gradient)),
        Measure("gaussian", average.value, average.error),
        Measure("asam_first_order", rho * on_host(adaptive.norm()).item()),
        Measure("asam_ascent", _climb(hessian, rho * scale * adaptive, adaptive)),
        Measure("scaled_lambda_max", scaled.values[0], scaled.residuals[0]),
    )


def gaussian_sharpness(hessian: Hessian, *, rho: float, seed: int = 0) -> Estimate:
    """E f(θ + ρ z/√n) − f(θ) over standard normal z, by pairs ±z."""
    generator = torch.Generator().manual_seed(seed)
    climbs = []
    for _ in range(GAUSSIAN_PAIRS):
        step = random_normal(hessian.gradient, generator) * (rho / math.sqrt(len(hessian)))
        climbs.append((hessian.loss_at(step) + hessian.loss_at(-step)) / 2 - hessian.loss)
    return Estimate(fmean(climbs), stdev(climbs) / math.sqrt(GAUSSIAN_PAIRS))


def _climb(hessian: Hessian, step: Tensor, over: Tensor) -> float:
    """How far the loss climbs along ``step / ‖over‖``; not at all where the gradient vanishes."""
    norm = on_host(over.norm()).item()
    return hessian.loss_at(step / norm) - hessian.loss if norm > 0 else 0.0
