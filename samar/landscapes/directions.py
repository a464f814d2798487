"""Directions in weight space: random ones, normalized so that they can be compared.

A Gaussian draw d for each weight tensor θ of at least two dimensions is scaled

    filter-wise   d_i ← d_i ‖θ_i‖ / (‖d_i‖ + 1e-10)   for each output filter i,
    layer-wise    d   ← d   ‖θ‖   / (‖d‖   + 1e-10),
    raw           not at all.

Biases and BatchNorm's weights, tensors of at most one dimension, are not moved (d = 0), whatever
the scaling, and there is no scaling over all tensors afterwards. A network with ReLU and BatchNorm
computes the same when a filter grows, so without the first scaling a picture shows how large the
weights are rather than how the loss is shaped.

Departure: the authors' code divides per filter but keeps the two axes' cosine to itself; here
:class:`~samar.landscapes.frame.Frame` reports it. The axes are drawn independently: making them
orthogonal would break either the norms or, if done before, itself.

Reference:
    Li, Xu, Taylor, Studer, Goldstein, "Visualizing the Loss Landscape of Neural Nets",
    NeurIPS 2018, arXiv 1712.09913.
"""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from samar.device.waiting import on_host

Weights: TypeAlias = tuple[Tensor, ...]
"""One tensor per parameter, in the order of ``model.parameters()``."""

TINY = 1e-10


def weights_of(model: nn.Module) -> Weights:
    """A copy of the model's parameters, detached."""
    return tuple(parameter.detach().clone() for parameter in model.parameters())


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
