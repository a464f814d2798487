r"""A line or a plane in weight space: an origin θ₀, one or two axes, and coordinates on them.

    θ(α, β) = θ₀ + α d₁ + β d₂

is computed from the untouched θ₀ for every point, because walking from point to point in place
accumulates rounding. Axes need be neither orthogonal nor of unit length: everything that speaks of
distance goes through the Gram matrix G_ij = ⟨d_i, d_j⟩. The coordinates of any weights θ are
those of the nearest point of the plane, G⁻¹ (⟨d_i, θ − θ₀⟩)_i, and the points at distance ρ from
the origin, the edge of SAM's ball as far as the plane cuts it, are ρ G^{-1/2} (cos t, sin t).

**Random axes.** A Gaussian draw d for each weight tensor θ of at least two dimensions is scaled

    filter-wise   d_i ← d_i ‖θ_i‖ / (‖d_i‖ + 1e-10)   for each output filter i,
    layer-wise    d   ← d   ‖θ‖   / (‖d‖   + 1e-10),
    raw           not at all.

Biases and BatchNorm's weights, tensors of at most one dimension, are not moved (d = 0), whatever
the scaling. A network with ReLU and BatchNorm computes the same when a filter grows, so without the
first scaling a picture shows how large the weights are rather than how the loss is shaped. The axes
are drawn independently: making them orthogonal would break either the norms or, if done before,
itself. Their cosine is reported.

**Main directions of a path.** With snapshots θ_1 … θ_n of a run, the rows θ_i − θ_n form a matrix M
whose two leading right singular vectors span the plane (orthonormal axes, unscaled). It passes
through the final weights and is, among all such planes, the one with the smallest sum of squared
distances to the snapshots. The share explained by axis j is σ_j² / Σ σ². M is never decomposed: the
n × n matrix M Mᵀ, in float64, has the same singular values. High shares are no discovery: those of
a random walk in many dimensions are high too (Antognini and Sohl-Dickstein 2018).

References:
    Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural Nets",
    NeurIPS 2018, arXiv 1712.09913; Antognini, Sohl-Dickstein, arXiv 1806.08805.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.data.objective import Objective
from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.errors import ConfigError

Floats = npt.NDArray[np.float64]
Weights: TypeAlias = tuple[Tensor, ...]
"""One tensor per parameter, in the order of ``model.parameters()``."""
State = Mapping[str, Tensor]
"""A network's ``state_dict``: parameters and buffers by name."""
TINY = 1e-10
PARALLEL = 1e-12
"""Axes of length one whose Gram matrix has so small an eigenvalue span no plane."""
EIGENVECTOR_IMAGES, EIGENVECTOR_TOLERANCE = 256, 1e-2


@dataclass(frozen=True, eq=False)
class Frame:
    """Where a landscape lies.

    Attributes:
        origin: θ₀, parameters only; buffers never move.
        axes: one or two directions shaped like it.
        labels: what one unit along each axis is, in words.
        facts: how the axes came about, for the manifest.

    Raises:
        ValueError: there are no axes, too many, or one has other shapes than the origin.
    """

    origin: Weights
    axes: tuple[Weights, ...]
    labels: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.axes) not in (1, 2) or len(self.labels) != len(self.axes):
            raise ValueError(
                f"axes must be one or two, each with a label, got {len(self.axes)} and "
                f"{len(self.labels)} labels; give a line one axis and a plane two."
            )
        shapes = [tensor.shape for tensor in self.origin]
        for axis in self.axes:
            if [tensor.shape for tensor in axis] != shapes:
                raise ValueError(
                    f"an axis must have {len(shapes)} tensors shaped like the parameters, got "
                    f"{len(axis)} tensors of other shapes; give one per parameter, in order."
                )

    def at(self, coordinates: Sequence[float]) -> Weights:
        """The weights at (α) or (α, β)."""
        point = self.origin
        for step, axis in zip(coordinates, self.axes, strict=True):
            point = tuple(torch.add(p, d, alpha=step) for p, d in zip(point, axis, strict=True))
        return point

    @cached_property
    def gram(self) -> Floats:
        """Inner products of the axes, (d, d)."""
        return np.array([[_inner(a, b) for b in self.axes] for a in self.axes])

    def require_spanning(self) -> None:
        """Make sure that every axis leads somewhere else than the others.

        Raises:
            ConfigError: an axis is all zeros, or the axes are parallel.
        """
        norms = np.sqrt(np.diag(self.gram))
        for number, norm in enumerate(norms.tolist(), 1):
            if norm == 0:
                raise ConfigError(
                    f"Direction {number} is all zeros; give one that moves some weights (random "
                    "ones leave biases and other tensors of one dimension as they are)."
                )
        cosines = self.gram / np.outer(norms, norms)
        if np.isfinite(cosines).all() and np.linalg.eigvalsh(cosines)[0] <= PARALLEL:
            raise ConfigError(
                "The directions must lead apart, got two that are parallel; give other directions, "
                "or networks that all differ."
            )

    def project(self, weights: Sequence[Tensor]) -> tuple[Floats, float]:
        """Coordinates (d,) of the nearest point of the plane, and the distance to it."""
        offset = [exact(w) - exact(o) for w, o in zip(weights, self.origin, strict=True)]
        along = np.array([_inner(axis, offset) for axis in self.axes])
        coordinates = np.linalg.lstsq(self.gram, along, rcond=None)[0]
        for step, axis in zip(coordinates, self.axes, strict=True):
            offset = [o - float(step) * exact(d) for o, d in zip(offset, axis, strict=True)]
        return coordinates, float(np.sqrt(_inner(offset, offset)))

    def ball(self, rho: float, count: int = 32) -> Floats:
        """Coordinates (count, 2) of the points at distance ρ; the two ends (2, 1) on a line.

        Raises:
            ConfigError: an axis is all zeros, or the axes are parallel.
        """
        self.require_spanning()
        values, vectors = np.linalg.eigh(self.gram)
        turns = 2 * np.pi * np.arange(count) / count
        circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        if len(self.axes) == 1:
            circle = np.array([[-1.0], [1.0]])
        edge: Floats = rho * circle @ (vectors / np.sqrt(values)) @ vectors.T
        return edge

    def describe(self) -> dict[str, Any]:
        """The axes' facts, norms and cosine."""
        gram = self.gram
        norms = np.sqrt(np.diag(gram))
        cosine = float(gram[0, 1] / (norms[0] * norms[1])) if len(self.axes) == 2 else None
        return self.facts | {
            "labels": list(self.labels),
            "norms": norms.tolist(),
            "cosine": cosine,
            "weight_norm": float(np.sqrt(_inner(self.origin, self.origin))),
        }


def random_frame(model: nn.Module, *, dim: int = 2, kind: str = "filter", seed: int = 0) -> Frame:
    """Independent random directions from one seed; see the head of this file."""
    origin = weights_of(model)
    generator = torch.Generator().manual_seed(seed)
    axes = tuple(random_direction(origin, generator, kind) for _ in range(dim))
    unit = {"filter": "filter norms", "layer": "layer norms", "raw": "Gaussian steps"}[kind]
    labels = tuple(f"random direction {i + 1} ({unit})" for i in range(dim))
    return Frame(origin, axes, labels, {"directions": kind, "seed": seed})


def given_frame(
    model: nn.Module, axes: Sequence[Sequence[Tensor]], labels: Sequence[str], kind: str = "given"
) -> Frame:
    """Directions given as tensors, such as Hessian eigenvectors, neither scaled nor turned."""
    copies = tuple(tuple(tensor.detach().clone() for tensor in axis) for axis in axes)
    return Frame(weights_of(model), copies, tuple(labels), {"directions": kind})


def frame_between(model: nn.Module, *others: State) -> Frame:
    """The line to another network (at 1), or the plane through it and a third.

    Raises:
        ValueError: an endpoint is the model itself, so there is no direction to it.
    """
    origin = weights_of(model)
    axes = tuple(
        tuple(t - o for t, o in zip(parameters_in(model, other), origin, strict=True))
        for other in others
    )
    for number, axis in enumerate(axes, 2):
        if not _inner(axis, axis) > 0:
            raise ValueError(
                f"network {number} must differ from the first, got equal weights; choose another."
            )
    names = ("second", "third")
    labels = tuple(f"towards the {names[i]} network (1 = there)" for i in range(len(axes)))
    return Frame(origin, axes, labels, {"directions": "between"})


def random_direction(
    weights: Sequence[Tensor], generator: torch.Generator, normalization: str = "filter"
) -> Weights:
    """Draw a direction for these weights.

    Args:
        weights: the point that the direction starts from.
        generator: on the CPU, so that a seed means the same direction on every device.
        normalization: ``filter``, ``layer`` or ``raw``.

    Raises:
        ValueError: the normalization has another name.
    """
    if normalization not in ("filter", "layer", "raw"):
        raise ValueError(
            f"normalization must be filter, layer or raw, got {normalization!r}; choose one."
        )
    return tuple(_draw(weight, generator, normalization) for weight in weights)


def _draw(weight: Tensor, generator: torch.Generator, normalization: str) -> Tensor:
    if weight.dim() <= 1:
        return torch.zeros_like(weight)
    draw = torch.randn(weight.shape, generator=generator).double()
    if normalization != "raw":
        over = range(1, weight.dim()) if normalization == "filter" else range(weight.dim())
        wanted = torch.linalg.vector_norm(on_host(weight).double(), dim=tuple(over), keepdim=True)
        found = torch.linalg.vector_norm(draw, dim=tuple(over), keepdim=True)
        draw = draw * wanted / (found + TINY)
    return draw.to(weight)


def eigenvector_frame(
    model: nn.Module,
    sample: Objective,
    *,
    dim: int = 2,
    seed: int = 0,
    tell: Callable[[str], None] = lambda sentence: None,
    on_batch: Callable[[], None] | None = None,
) -> Frame:
    """The Hessian's top eigenvectors at the network as axes of length one.

    Along an eigenvector of eigenvalue θ the loss starts as f + α ⟨∇f, v⟩ + ½ θ α².

    Args:
        sample: the examples of f; about :data:`EIGENVECTOR_IMAGES` are enough for directions.
        dim: how many eigenvectors.
        seed: of the start vector.
        tell: told about each product.
        on_batch: called before each batch of images; may raise to cancel.
    """
    spectrum = top_eigenvalues(
        model,
        sample,
        k=dim,
        tol=EIGENVECTOR_TOLERANCE,
        seed=seed,
        on_product=lambda count, residual: tell(
            f"Eigenvectors: Hessian-vector product {count} (stops when accurate), "
            f"largest residual {residual:.0e}"
        ),
        on_batch=on_batch,
    )
    axes = [_as_weights(model, vector) for vector in spectrum.vectors]
    labels = [
        f"eigenvector {i + 1} (eigenvalue {value:.4g})" for i, value in enumerate(spectrum.values)
    ]
    frame = given_frame(model, axes, labels, kind="hessian")
    frame.facts.update(
        seed=seed,
        eigenvalues=list(spectrum.values),
        residuals=list(spectrum.residuals),
        products=spectrum.products,
        eigenvector_images=len(sample),
    )
    return frame


def _as_weights(model: nn.Module, vector: Tensor) -> list[Tensor]:
    """A vector over the trainable parameters as one tensor per parameter, 0 where it is fixed."""
    parts: list[Tensor] = []
    start = 0
    for parameter in model.parameters():
        if parameter.requires_grad:
            parts.append(vector[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()
        else:
            parts.append(torch.zeros_like(parameter))
    return parts


def pca_frame(model: nn.Module, snapshots: Sequence[State], *, dim: int = 2) -> Frame:
    """The main directions of a path that ends at the model's weights.

    Args:
        snapshots: earlier ``state_dict``s of the run, in order, at least ``dim`` distinct ones.

    Raises:
        ValueError: the path does not span ``dim`` directions.
    """
    origin = weights_of(model)
    offsets = [
        torch.cat([(exact(t) - exact(o)).flatten() for t, o in zip(p, origin, strict=True)])
        for p in (parameters_in(model, state) for state in snapshots)
    ]
    gram = np.array([[on_host(a @ b).item() for b in offsets] for a in offsets])
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1], vectors[:, ::-1]
    if len(values) < dim or not values[dim - 1] > 1e-12 * max(values[0], 1e-30):
        raise ValueError(
            f"the snapshots must span {dim} directions, got {len(offsets)} snapshots that do not; "
            "give more, from different moments of a run."
        )
    axes = []
    for j in range(dim):
        flat = sum(float(v) * o for v, o in zip(vectors[:, j], offsets, strict=True))
        pieces = (flat / values[j] ** 0.5).split([t.numel() for t in origin])
        axes.append(tuple(p.view_as(t).to(t) for p, t in zip(pieces, origin, strict=True)))
    explained = (values[:dim] / values.sum()).tolist()
    labels = tuple(f"main direction {j + 1} ({share:.1%})" for j, share in enumerate(explained))
    return Frame(origin, tuple(axes), labels, {"directions": "pca", "explained": explained})


def weights_of(model: nn.Module) -> Weights:
    """A copy of the model's parameters, detached."""
    return tuple(parameter.detach().clone() for parameter in model.parameters())


def require_alike(first: State, second: State) -> None:
    """Make sure that two networks have the same layers.

    Raises:
        ConfigError: names the first tensor in which they differ.
    """
    for name in [*first, *(name for name in second if name not in first)]:
        shapes = [tuple(each[name].shape) if name in each else None for each in (first, second)]
        if shapes[0] != shapes[1]:
            told = [f"has {s} there" if s is not None else "has no such tensor" for s in shapes]
            raise ConfigError(
                f"The two networks have other layers: for {name} the first {told[0]}, the second "
                f"{told[1]}; choose two of one architecture."
            )


def parameters_in(model: nn.Module, state: State) -> Weights:
    """The tensors of a ``state_dict`` that are parameters of the model, in its order."""
    own = list(model.named_parameters())
    return tuple(state[name].detach().to(p.device, p.dtype) for name, p in own)


def _inner(a: Sequence[Tensor], b: Sequence[Tensor]) -> float:
    terms = [torch.sum(exact(x) * exact(y)) for x, y in zip(a, b, strict=True)]
    return on_host(torch.stack(terms).sum()).item()
