"""Recordings on problems small enough to measure everything: full batches, no BatchNorm.

``step_size`` trains a two-layer network on all 1,000 digits at once, with a constant step and no
momentum, where the theory of gradient descent applies as it stands: on a quadratic of curvature a,
x ← x − η a x shrinks only while a < 2/η (Cohen et al. 2021, "Gradient Descent on Neural Networks
Typically Occurs at the Edge of Stability", arXiv 2103.00065). ``rescaling`` multiplies one of its
layers by c and divides the next by c, which ReLU lets pass unseen (Dinh et al. 2017,
arXiv 1703.04933). ``rate`` measures how the squared gradient falls with the number of steps.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.recordings.record import manifest
from samar.curvature.dynamics import dynamics_of, edge_of_stability
from samar.curvature.product import hessian_of
from samar.curvature.sharpness import sharpness_measures
from samar.curvature.solvers.eigenvalues import top_of
from samar.data.sample import Sample
from samar.landscapes.frame import random_frame
from samar.landscapes.sampler import plane
from samar.optim.factory import build_optimizer
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.recordings import Recording
from samar.training.loop import dataset_of
from samar.training.settings import TrainSettings

HIDDEN = 32
LR, NOISE = 0.2, 0.4
STEPS, MEASURED_EVERY, EIGENVALUES = 1600, 20, 3
SMALL_STEPS: dict[str, dict[str, Any]] = {
    "sgd": {},
    "sam": {"rho": 0.05},
    "samar": {"rho": 0.05},
}
SCALE = 4.0
PLANE_POINTS = 33
HORIZONS = (64, 256, 1024, 4096)
RATE_SEEDS = 8


def network(seed: int) -> nn.Sequential:
    """64 pixels, one hidden ReLU layer, ten logits."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


def step_size() -> Recording:
    """Largest eigenvalue of the full loss against 2/η, for gradient descent, SAM and SAMAR."""
    data = dataset_of(TrainSettings(label_noise=NOISE))
    sample = Sample.of(data.train, data.normalization)
    tables: dict[str, Any] = {"lr": np.array(LR)}
    for name, changes in SMALL_STEPS.items():
        columns = _descend(name, changes, sample)
        tables |= {f"{name}_{key}": column for key, column in columns.items()}
        loss, largest = columns["loss"][-1], columns["lam_max"][-1]
        print(f"  {name}: loss {loss:.4f}, largest eigenvalue {largest:.2f}")
    about = (
        f"A network of 64-{HIDDEN}-10 units with ReLU on all 1,000 digits at once, "
        f"{NOISE:.0%} of them with a wrong label, "
        f"η = {LR} throughout, no momentum, no weight decay, {STEPS} steps from one start. "
        "Tables NAME_loss per step; NAME_lam_max with its NAME_residual, NAME_edge (of stability), "
        "NAME_share (of the squared gradient in the top three eigenvectors), NAME_kappa and "
        f"NAME_kappa_expected (1 + ½ρ ĝᵀHĝ/‖g‖) at the steps NAME_at, every {MEASURED_EVERY}th; "
        "ρ = 0.05 for SAM and SAMAR."
    )
    return Recording("step_size", manifest(about, data), {}, tables)


def rescaling() -> Recording:
    """Planes of one function written in two ways, along raw and filter-normalized directions."""
    data = dataset_of(TrainSettings())
    sample = Sample.of(data.train, data.normalization, 512)
    model = network(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(sample.x), sample.y).backward()
        optimizer.step()
    tables: dict[str, Any] = {"scale": np.array(SCALE)}
    for state in ("before", "after"):
        if state == "after":
            _rescale(model, SCALE)
        for kind, span in (("raw", 0.5), ("filter", 1.0)):
            axes = random_frame(model, kind=kind, seed=1).axes
            chunk, width = len(sample), (-span, span)
            flat = plane(model, sample, axes, points=PLANE_POINTS, span=width, chunk=chunk)
            tables |= {f"{kind}_{state}": flat.loss, f"{kind}_axis": flat.axes[0]}
        with hessian_of(model, sample) as hessian:
            spectrum = top_of(hessian, k=1, tol=1e-4)
            measures = sharpness_measures(hessian, spectrum, None, rho=0.05, tol=1e-4)
        by_name = {measure.name: measure.value for measure in measures}
        tables[f"lam_max_{state}"] = np.array(by_name["lambda_max"])
        tables[f"scaled_lam_max_{state}"] = np.array(by_name["scaled_lambda_max"])
        with torch.inference_mode():
            tables[f"logits_{state}"] = model(sample.x[:64]).numpy()
        print(f"  {state}: largest eigenvalue {by_name['lambda_max']:.4g}")
    about = (
        f"One network of 64-{HIDDEN}-10 units with ReLU, trained on 512 digits; 'after' has its "
        f"first layer times {SCALE:g} and the weights of its second divided by {SCALE:g}. Planes "
        "[row y, column x] of the loss on those images along the same random draw, raw and "
        "filter-normalized."
    )
    return Recording("rescaling", manifest(about, data), {}, tables)


def rate() -> Recording:
    """How the squared gradient falls with the horizon K, on a smooth nonconvex noisy problem."""
    tables: dict[str, Any] = {"horizon": np.array(HORIZONS)}
    methods: dict[str, Callable[[Tensor, float, float], torch.optim.Optimizer]] = {
        "sgd": lambda x, lr, _: torch.optim.SGD([x], lr=lr),
        "sam": lambda x, lr, rho: SAM([x], lr=lr, rho=rho),
        "samar": lambda x, lr, rho: SAMAR([x], lr=lr, rho=rho),
    }
    for name, build in methods.items():
        found = np.array(
            [[_squares(build, k, seed) for seed in range(RATE_SEEDS)] for k in HORIZONS]
        )
        tables |= {f"{name}_min": found[..., 0], f"{name}_mean": found[..., 1]}
        tables |= {f"{name}_price": found[..., 2]}
        print(f"  {name}: mean over steps {found[..., 1].mean(axis=1).round(4).tolist()}")
    about = (
        "f(x) = Σ x²/(1 + x²) in 20 dimensions, Gaussian gradient noise 0.3; for each K a run of K "
        "steps with η = 2/√K and ρ = 1/√K. Tables NAME_min and NAME_mean (K, seed): smallest and "
        "mean of the true squared gradient norm over the K steps; NAME_price: gradients a step."
    )
    return Recording("rate", manifest(about, "none: a formula"), {}, tables)


def _descend(name: str, changes: dict[str, Any], sample: Sample) -> dict[str, Any]:
    model = network(0)
    plain: dict[str, Any] = {"lr": LR, "momentum": 0.0, "weight_decay": 0.0}
    optimizer = build_optimizer(name, model, **plain, **changes)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(sample.x), sample.y)
        loss.backward()
        return loss

    rho = changes.get("rho", 0.0)
    losses, lams = [], []
    measured: list[dict[str, float]] = []
    start: Tensor | None = None
    for step in range(STEPS + 1):
        if step % MEASURED_EVERY == 0:
            with hessian_of(model, sample, batch_size=len(sample)) as hessian:
                top = top_of(hessian, k=EIGENVALUES, tol=1e-3, start=start)
                found = dynamics_of(hessian, top.vectors, rho)
            start = top.vectors
            assert found is not None
            lam = float(getattr(optimizer, "lam", 1.0))
            measured.append(
                {
                    "at": step,
                    "lam_max": top.values[0],
                    "residual": top.residuals[0],
                    "edge": edge_of_stability(LR, lam * rho, found.gradient_norm),
                    "share": found.gradient_share,
                    "kappa": math.nan if found.kappa is None else found.kappa,
                    "kappa_expected": (
                        math.nan if found.kappa_expected is None else found.kappa_expected
                    ),
                }
            )
        if step == STEPS:
            break
        loss: Any = optimizer.step(closure)  # type: ignore[arg-type]
        losses.append(float(loss.detach()))
        lams.append(float(getattr(optimizer, "lam_used", math.nan)))
    columns = {"loss": losses, **{key: [row[key] for row in measured] for key in measured[0]}}
    if name == "samar":
        columns["lam"] = lams
    return {key: np.array(column) for key, column in columns.items()}


def _rescale(model: nn.Sequential, scale: float) -> None:
    """Multiply the first layer and divide the weights of the second: ReLU(cz) = c ReLU(z)."""
    first, second = model[1], model[3]
    with torch.no_grad():
        for tensor in first.parameters():
            tensor.mul_(scale)
        second.get_parameter("weight").div_(scale)


def _squares(
    build: Callable[[Tensor, float, float], torch.optim.Optimizer],
    horizon: int,
    seed: int,
) -> tuple[float, float, float]:
    """Smallest and mean ‖∇f(x_k)‖² of one run, and gradients a step."""
    generator = torch.Generator().manual_seed(seed)
    noise = 0.3 * torch.randn(horizon, 20, generator=generator, dtype=torch.float64)
    sign = torch.randint(2, (20,), generator=generator) * 2.0 - 1.0
    x = nn.Parameter(2.0 * sign.double())
    optimizer = build(x, 2.0 / math.sqrt(horizon), 1.0 / math.sqrt(horizon))
    squared, spent = [], 0
    for xi in noise:

        def closure(xi: Tensor = xi) -> Tensor:
            w = x.detach()
            x.grad = _gradient(w) + xi
            return (w.square() / (1 + w.square())).sum() + xi @ w

        squared.append(_gradient(x.detach()).square().sum())
        optimizer.step(closure)  # type: ignore[arg-type]
        spent += getattr(optimizer, "gradients", 1)
    found = torch.stack(squared)
    return float(found.min()), float(found.mean()), spent / horizon


def _gradient(x: Tensor) -> Tensor:
    return 2 * x / (1 + x.square()).square()
