"""One measurement from request to result: what both the page and the command line call."""

import copy
import math
from collections.abc import Callable
from importlib.metadata import version
from time import perf_counter
from typing import Any

import torch
from torch import nn

from samar import __version__
from samar.curvature.density import PROBES, STEPS, spectral_density
from samar.curvature.eigenvalues import OnEstimate, top_eigenvalues
from samar.curvature.layers import layer_curvature
from samar.curvature.product import BATCH_SIZE, Hessian, hessian_of
from samar.curvature.pyhessian_engine import pyhessian_eigenvalues
from samar.curvature.result import Report, Spectrum, Trace
from samar.curvature.settings import CurvatureSettings
from samar.curvature.sharpness import sharpness_measures
from samar.curvature.trace import PRODUCTS, hessian_trace
from samar.data.dataset import Dataset
from samar.data.sample import Sample

Progress = Callable[[str], None]
"""Called with a sentence after each product; may raise to cancel."""


def measure(
    model: nn.Module,
    dataset: Dataset,
    request: CurvatureSettings,
    *,
    facts: dict[str, Any] | None = None,
    device: str = "cpu",
    progress: Progress = lambda sentence: None,
    on_estimate: OnEstimate | None = None,
) -> Report:
    """Measure the curvature of the mean cross-entropy at a model's weights.

    Args:
        model: left as it was.
        dataset: images of the request's split are taken from it.
        request: what to measure.
        facts: about the model, for the manifest.
        device: where to compute.
        progress: told what is going on.
        on_estimate: told the eigenvalues and residuals so far, while they converge.

    Raises:
        ConfigError: the request does not fit the model, or the loss is not finite.
    """
    began = perf_counter()
    network = copy.deepcopy(model).to(device)
    images = (dataset.test if request.split == "test" else dataset.train).to(device)
    sample = Sample.of(images, dataset.normalization, request.images)
    spectrum = _eigenvalues(network, sample, request, progress, on_estimate)
    density = trace = layers = sharpness = None
    with hessian_of(network, sample) as hessian:
        if request.density:
            told = _teller(progress, "Density: product", PROBES * min(STEPS, len(hessian)))
            density = spectral_density(
                hessian, probes=PROBES, steps=STEPS, seed=request.seed, on_product=told
            )
        if request.trace or request.layers:
            trace = _trace(hessian, request, progress)
        if request.sharpness:
            told = _teller(progress, "Scale-adjusted λ_max: product", request.max_products)
            sharpness = sharpness_measures(
                hessian, spectrum, trace, rho=request.rho, seed=request.seed, on_product=told
            )
    if request.layers and trace:
        layers = layer_curvature(
            network,
            sample,
            trace,
            seed=request.seed,
            on_layer=lambda done, most: progress(f"Layer {done} of {most}"),
        )
    manifest = dict(facts or {}) | request.model_dump() | {"images": len(sample)}
    manifest |= {
        "checksum": dataset.checksum,
        "batch_size": BATCH_SIZE,
        "batchnorm": "running statistics (eval mode)",
        "device": device,
        "precision": str(sample.x.dtype).removeprefix("torch."),
        "samar": __version__,
        "torch": torch.__version__,
    }
    if request.engine == "pyhessian":
        manifest["pyhessian"] = version("pyhessian")
    return Report(
        spectrum=spectrum,
        density=density,
        trace=trace,
        layers=layers,
        sharpness=sharpness,
        images=len(sample),
        seconds=perf_counter() - began,
        manifest=manifest,
    )


def _eigenvalues(
    network: nn.Module,
    sample: Sample,
    request: CurvatureSettings,
    progress: Progress,
    on_estimate: OnEstimate | None,
) -> Spectrum:
    if request.engine == "pyhessian":
        most = request.top * request.max_products
        return pyhessian_eigenvalues(
            network,
            sample,
            k=request.top,
            tol=request.tol,
            max_products=request.max_products,
            seed=request.seed,
            on_product=_teller(progress, "Product", most),
        )
    return top_eigenvalues(
        network,
        sample,
        k=request.top,
        tol=request.tol,
        max_products=request.max_products,
        both_ends=request.both_ends,
        seed=request.seed,
        on_product=_teller(progress, "Hessian-vector product", request.max_products),
        on_estimate=on_estimate,
    )


def _trace(hessian: Hessian, request: CurvatureSettings, progress: Progress) -> Trace:
    told = _teller(progress, "Trace: product", PRODUCTS)
    return hessian_trace(hessian, products=PRODUCTS, seed=request.seed, on_product=told)


def _teller(progress: Progress, what: str, most: int) -> Callable[[int, float], None]:
    def tell(count: int, residual: float) -> None:
        sentence = f"{what} {count} of at most {most}"
        if math.isfinite(residual):
            sentence += f", residual {residual:.0e}"
        progress(sentence)

    return tell
