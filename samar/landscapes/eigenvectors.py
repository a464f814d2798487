"""The Hessian's top eigenvectors as the axes of a landscape."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.data.objective import Objective
from samar.landscapes.frame import Frame, given_frame

IMAGES, TOLERANCE = 256, 1e-2


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
        sample: the examples of f; about :data:`IMAGES` are enough for directions.
        dim: how many eigenvectors.
        seed: of the start vector.
        tell: told about each product.
        on_batch: called before each batch of images; may raise to cancel.
    """
    spectrum = top_eigenvalues(
        model,
        sample,
        k=dim,
        tol=TOLERANCE,
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
