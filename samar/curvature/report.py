"""One measurement from request to result: what a curvature job does."""

import copy
import math
from collections.abc import Callable, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any

import torch
from torch import nn

from samar.curvature.catalog import COVARIANCE, HESSIAN, PYHESSIAN
from samar.curvature.held_out import along, piece_size
from samar.curvature.layers import layer_curvature
from samar.curvature.matrices import MATRICES, EmpiricalFisher, in_gauss_newton
from samar.curvature.noise import spread_of
from samar.curvature.product import Hessian, OnBatch, batch_size_on, operator_of
from samar.curvature.result import Report
from samar.curvature.settings import CurvatureSettings
from samar.curvature.sharpness import sharpness_measures
from samar.curvature.solvers.density import PROBES, STEPS, spectral_density
from samar.curvature.solvers.eigenvalues import OnEstimate, OnProduct, top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.dataset import Dataset
from samar.data.objective import Objective
from samar.data.sample import Sample
from samar.device.catalog import CPU
from samar.device.placement import provenance
from samar.device.waiting import on_host
from samar.version import __version__

GIVEN = ("images", "split")
"""Of a request, what the examples themselves say."""

Progress = Callable[[int, int, str], None]
"""Called after each product with their number in this part of the measurement, how many it takes (0
where it stops when it is accurate), and what they are for; may raise to cancel."""


def measure(
    model: nn.Module,
    dataset: Dataset,
    request: CurvatureSettings,
    *,
    facts: Mapping[str, Any] | None = None,
    device: torch.device | str = CPU,
    progress: Progress = lambda done, most, what: None,
    on_estimate: OnEstimate | None = None,
    on_batch: OnBatch | None = None,
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
        on_batch: called before every batch; may raise to cancel.

    Raises:
        ConfigError: the request does not fit the model, or the loss is not finite.
    """
    network = copy.deepcopy(model).to(device)
    images = (dataset.test if request.split == "test" else dataset.train).to(device)
    return measure_on(
        network,
        Sample.of(images, dataset.normalization, request.images),
        request,
        other=Sample.of(images.others(request.images, request.held_out), dataset.normalization)
        if request.held_out
        else None,
        facts=dict(facts or {}) | {"split": request.split, "checksum": dataset.checksum},
        progress=progress,
        on_estimate=on_estimate,
        on_batch=on_batch,
    )


def measure_on(
    network: nn.Module,
    sample: Objective,
    request: CurvatureSettings,
    *,
    other: Objective | None = None,
    facts: Mapping[str, Any] | None = None,
    progress: Progress = lambda done, most, what: None,
    on_estimate: OnEstimate | None = None,
    on_batch: OnBatch | None = None,
) -> Report:
    """Measure the curvature of any mean loss at a network's weights.

    Args:
        network: left as it was.
        sample: the examples and their loss; takes the place of the request's images and split.
        other: further examples with the same loss, on which the curvature along each eigenvector
            is measured too; takes the place of the request's number of them.
        request, facts, progress, on_estimate, on_batch: as for :func:`measure`.

    Raises:
        ConfigError: the request does not fit the network, or the loss is not finite.
    """
    began, what = perf_counter(), product_of(request.matrix)
    size = 1 if other is None else piece_size(other)
    spectrum = density = trace = layers = sharpness = parts = held_out = spread = None
    if request.engine == PYHESSIAN:
        from samar.curvature.solvers.pyhessian_engine import pyhessian_eigenvalues

        assert isinstance(sample, Sample)
        spectrum = pyhessian_eigenvalues(
            network,
            sample,
            k=request.top,
            tol=request.tol,
            max_products=request.max_products,
            seed=request.seed,
            on_product=_until_accurate(progress, what),
            on_batch=on_batch,
        )
    matrix = MATRICES[request.matrix]
    with operator_of(matrix, network, sample, on_batch=on_batch) as operator:
        if spectrum is None:
            spectrum = top_of(
                operator,
                k=request.top,
                tol=request.tol,
                max_products=request.max_products,
                both_ends=request.both_ends,
                seed=request.seed,
                on_product=_until_accurate(progress, what),
                on_estimate=on_estimate,
            )
        if request.density:
            most = PROBES * min(STEPS, len(operator))
            told = _teller(progress, f"Spectral density: {what}s", most)
            density = spectral_density(
                operator, probes=PROBES, steps=STEPS, seed=request.seed, on_product=told
            )
        if request.trace or request.layers:
            most = request.trace_products
            told = _teller(progress, f"Trace: {what}s", most)
            trace = hessian_trace(operator, products=most, seed=request.seed, on_product=told)
        if request.matrix == COVARIANCE and trace:
            assert isinstance(operator, EmpiricalFisher)
            spread = spread_of(operator, trace.total, seed=request.seed)
        if request.sharpness:
            told = _until_accurate(progress, f"Scale-adjusted h₁: {what}")
            assert isinstance(operator, Hessian)
            sharpness = sharpness_measures(
                operator, spectrum, trace, rho=request.rho, seed=request.seed, on_product=told
            )
        if request.gauss_newton:
            assert isinstance(operator, Hessian)
            parts = in_gauss_newton(operator, spectrum.vectors)
        gradient_norm = on_host(operator.gradient.norm()).item()
    del operator  # and its graphs, before others are made
    if other is not None:
        count = 0

        def batch() -> None:
            nonlocal count
            progress(min(count, len(other)), len(other), "Other images")
            count += size
            if on_batch:
                on_batch()

        with operator_of(
            matrix, network, other, batch_size=size, on_batch=batch, products=False
        ) as others:
            held_out = along(others, spectrum.vectors)
    if request.layers and trace:
        layers = layer_curvature(
            network,
            sample,
            trace,
            matrix=matrix,
            seed=request.seed,
            on_layer=lambda done, most: progress(done, most, "Layers"),
            on_batch=on_batch,
        )
    asked = {n: getattr(request, n) for n in CurvatureSettings.model_fields if n not in GIVEN}
    manifest = dict(facts or {}) | asked | {"images": len(sample)}
    manifest["held_out"] = len(other) if other is not None else 0
    manifest |= {
        "batch_size": batch_size_on(sample.device),
        "batchnorm": "running statistics (eval mode)",
        "samar": __version__,
        "torch": torch.__version__,
    } | provenance(sample.device)
    if request.engine == PYHESSIAN:
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
        matrix=request.matrix,
        gradient_norm=gradient_norm,
        gauss_newton=parts,
        held_out=held_out,
        noise_spread=spread,
    )


def product_of(matrix: str) -> str:
    """What a product with a matrix is called."""
    return "Hessian-vector product" if matrix == HESSIAN else "Matrix-vector product"


def _teller(progress: Progress, what: str, most: int) -> OnProduct:
    return lambda count, _: progress(count, most, what)


def _until_accurate(progress: Progress, what: str) -> OnProduct:
    """Nobody knows how many products it takes: the number and the largest residual are told."""

    def tell(count: int, residual: float) -> None:
        error = f", largest residual {residual:.0e}" if math.isfinite(residual) else ""
        progress(count, 0, f"{what} {count} (stops when accurate){error}")

    return tell
