"""Eigenvalues to double precision from eigenvectors found in single precision.

A network of ReLUs has kinks: of tens of millions of pre-activations a few lie within rounding of
zero, and in float32 they fall on the other side. That alone moves the Hessian's eigenvalues by
about 1e-4 relative, whatever the solver. One Rayleigh–Ritz step with the float64 Hessian on the
vectors V found in float32 mends it at the price of k products:

    T = Vᵀ H V,   T s_i = θ_i s_i,   y_i = V s_i

The error of V enters θ squared, and the residuals ‖H y_i − θ_i y_i‖ are those of the float64
Hessian.
"""

from dataclasses import replace
from time import perf_counter

import torch

from samar.curvature.eigenvalues import OnProduct, Spectrum
from samar.curvature.product import Hessian


def refined(
    spectrum: Spectrum, hessian: Hessian, *, tol: float, on_product: OnProduct | None = None
) -> Spectrum:
    """A spectrum's top eigenvalues and residuals with respect to another, more exact operator.

    Args:
        spectrum: from the same network and images; its lowest eigenvalues are passed on as they
            are.
        hessian: usually in float64.
        tol: as for :func:`samar.curvature.top_eigenvalues`.
        on_product: progress, counted from the first product of ``spectrum``.
    """
    began = perf_counter()
    basis = torch.linalg.qr(spectrum.vectors.to(hessian.gradient).T).Q.T  # (k, n)
    images = torch.empty_like(basis)
    for i, vector in enumerate(basis):
        images[i] = hessian @ vector
        if on_product:
            on_product(spectrum.products + i + 1, float("nan"))
    projected = basis @ images.T
    values, rotation = torch.linalg.eigh((projected + projected.T) / 2)
    values, rotation = values.flip(0), rotation.flip(1)
    vectors = rotation.T @ basis
    residuals = torch.linalg.vector_norm(rotation.T @ images - values[:, None] * vectors, dim=1)
    return replace(
        spectrum,
        values=tuple(values.tolist()),
        residuals=tuple(residuals.tolist()),
        vectors=vectors,
        products=spectrum.products + len(basis),
        converged=spectrum.converged and bool((residuals < tol * values.abs()).all()),
        loss=hessian.loss,
        seconds=spectrum.seconds + perf_counter() - began,
    )
