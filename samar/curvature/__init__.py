"""Curvature of the loss: eigenvalues, spectrum, trace and sharpness of a network's Hessian.

Importing this package does not import torch; the names that need it are loaded on first use.
"""

from typing import TYPE_CHECKING

from samar.curvature.catalog import ENGINES, MEASURES, MeasureInfo, Request
from samar.lazy import lazily

if TYPE_CHECKING:
    from samar.curvature.density import Density, spectral_density
    from samar.curvature.eigenvalues import Spectrum, top_eigenvalues
    from samar.curvature.layers import Layer, layer_curvature
    from samar.curvature.product import Hessian, hessian_of
    from samar.curvature.pyhessian_engine import pyhessian_eigenvalues
    from samar.curvature.report import Report, measure
    from samar.curvature.sharpness import Measure, gaussian_sharpness, sharpness_measures
    from samar.curvature.trace import Estimate, Trace, hessian_trace

_LAZY = {
    "Density": "density",
    "Estimate": "trace",
    "Hessian": "product",
    "Layer": "layers",
    "Measure": "sharpness",
    "Report": "report",
    "Spectrum": "eigenvalues",
    "Trace": "trace",
    "gaussian_sharpness": "sharpness",
    "hessian_of": "product",
    "hessian_trace": "trace",
    "layer_curvature": "layers",
    "measure": "report",
    "pyhessian_eigenvalues": "pyhessian_engine",
    "sharpness_measures": "sharpness",
    "spectral_density": "density",
    "top_eigenvalues": "eigenvalues",
}

__all__ = [
    "ENGINES",
    "MEASURES",
    "Density",
    "Estimate",
    "Hessian",
    "Layer",
    "Measure",
    "MeasureInfo",
    "Report",
    "Request",
    "Spectrum",
    "Trace",
    "gaussian_sharpness",
    "hessian_of",
    "hessian_trace",
    "layer_curvature",
    "measure",
    "pyhessian_eigenvalues",
    "sharpness_measures",
    "spectral_density",
    "top_eigenvalues",
]

__getattr__ = lazily(__name__, _LAZY)
