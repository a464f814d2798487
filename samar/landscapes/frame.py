r"""A line or a plane in weight space: an origin θ₀, one or two axes, and coordinates on them.

    θ(α, β) = θ₀ + α d₁ + β d₂

is computed from the untouched θ₀ for every point, because walking from point to point in place
accumulates rounding. Axes need be neither orthogonal nor of unit length: everything that speaks of
distance goes through the Gram matrix G_ij = ⟨d_i, d_j⟩. The coordinates of any weights θ are
those of the nearest point of the plane, G⁻¹ (⟨d_i, θ − θ₀⟩)_i, and the points at distance ρ from
the origin, the edge of SAM's ball as far as the plane cuts it, are ρ G^{-1/2} (cos t, sin t).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.landscapes.directions import Weights, random_direction, weights_of

Floats = npt.NDArray[np.float64]
PARALLEL = 1e-12
"""Axes of length one whose Gram matrix has so small an eigenvalue span no plane."""
State = Mapping[str, Tensor]
"""A network's ``state_dict``: parameters and buffers by name."""


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
    """Independent random directions from one seed; see :mod:`samar.landscapes.directions`."""
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
