"""The Hessian's top eigenvectors as the axes of a landscape."""

from collections.abc import Callable

from torch import nn

from samar.curvature.eigenvalues import top_eigenvalues
from samar.data.dataset import Dataset
from samar.data.sample import Sample
from samar.landscape.frame import Frame, given_frame
from samar.landscape.settings import LandscapeSettings

IMAGES, TOLERANCE = 256, 1e-2


def eigenvector_frame(
    model: nn.Module,
    dataset: Dataset,
    settings: LandscapeSettings,
    tell: Callable[[str], None] = lambda sentence: None,
    on_batch: Callable[[], None] | None = None,
) -> Frame:
    """The Hessian's top eigenvectors at the network as axes of length one.

    Along an eigenvector of eigenvalue θ the loss starts as f + α ⟨∇f, v⟩ + ½ θ α².

    Args:
        tell: told about each product.
        on_batch: called before each batch of images; may raise to cancel.
    """
    images = min(settings.images, IMAGES)
    sample = Sample.of(getattr(dataset, settings.split), dataset.normalization, images)
    spectrum = top_eigenvalues(
        model,
        sample,
        k=settings.dim,
        tol=TOLERANCE,
        seed=settings.seed,
        on_product=lambda count, residual: tell(
            f"Eigenvectors: Hessian-vector product {count} (stops when accurate), "
            f"largest residual {residual:.0e}"
        ),
        on_batch=on_batch,
    )
    parameters = list(model.parameters())
    axes = [
        [piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True)]
        for pieces in (vector.split([p.numel() for p in parameters]) for vector in spectrum.vectors)
    ]
    labels = [
        f"eigenvector {i + 1} (eigenvalue {value:.4g})" for i, value in enumerate(spectrum.values)
    ]
    frame = given_frame(model, axes, labels, kind="hessian")
    frame.facts.update(
        seed=settings.seed,
        eigenvalues=list(spectrum.values),
        residuals=list(spectrum.residuals),
        products=spectrum.products,
        eigenvector_images=len(sample),
    )
    return frame
