"""The reference engine: PyHessian's deflated power iteration, wrapped.

Yao, Gholami, Keutzer and Mahoney, "PyHessian: Neural Networks Through the Lens of the Hessian",
2020, arXiv 1912.07145, release 0.1. It iterates v ← H v / ‖H v‖ orthogonally to the eigenvectors
already found, until the Rayleigh quotient changes by less than ``tol`` from one product to the
next.

What the wrapper takes care of: gradients are cleared first (left over, they are added to and double
every eigenvalue), and the model, its gradients and its mode are put back; the device is the
model's; values come sorted; each gets a residual from one more product; products are counted and
can be cancelled. What stays PyHessian's: it finds the eigenvalues largest in modulus, and its
stopping rule says little about the error.
"""

import warnings
from collections.abc import Iterator
from time import perf_counter

import torch
import torch.nn.functional as F
from pyhessian import hessian as PyHessian
from torch import Tensor, nn

from samar.curvature.catalog import MAX_PRODUCTS
from samar.curvature.product import CurvatureMatrix, OnBatch, hessian_of
from samar.curvature.solvers.eigenvalues import OnProduct, Spectrum, check
from samar.data.sample import Sample
from samar.device.waiting import on_host
from samar.errors import ConfigError


class _Counted(PyHessian):
    """PyHessian over the batches of our operator that tells how many products it has taken."""

    def __init__(
        self, model: nn.Module, batches: CurvatureMatrix, on_product: OnProduct | None
    ) -> None:
        super().__init__(model, F.cross_entropy, None, _pairs(batches), False)
        self.device = batches.device
        self.products, self._batches, self._on_product = 0, batches, on_product

    def dataloader_hv_product(self, v: list[Tensor]) -> tuple[float, list[Tensor]]:
        self.data = _pairs(self._batches)
        result: tuple[float, list[Tensor]] = super().dataloader_hv_product(v)
        self.products += 1
        if self._on_product:
            self._on_product(self.products, float("nan"))
        return result


def _pairs(batches: CurvatureMatrix) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels of one pass after the other."""
    for piece in batches.batches():
        assert isinstance(piece, Sample)
        yield piece.x, piece.y


def pyhessian_eigenvalues(
    model: nn.Module,
    sample: Sample,
    *,
    k: int = 5,
    tol: float = 1e-3,
    max_products: int = MAX_PRODUCTS,
    seed: int = 0,
    batch_size: int | None = None,
    on_product: OnProduct | None = None,
    on_batch: OnBatch | None = None,
) -> Spectrum:
    """The k eigenvalues largest in modulus, by PyHessian, descending.

    Args:
        model: left as it was.
        sample: float32 images.
        tol: PyHessian's own: relative change of a Rayleigh quotient between two products.
        max_products: for each eigenvalue.
        k, seed, batch_size, on_product, on_batch: as for :func:`.top_eigenvalues`.

    Returns:
        A spectrum without a lower end. ``converged`` tells whether the *residuals* are below
        ``tol · |λ|``; ``products`` includes the k that measured them.

    Raises:
        ConfigError: as for :func:`.top_eigenvalues`, and images that are not
            float32.
    """
    if sample.x.dtype != torch.float32:
        raise ConfigError(f"PyHessian computes in float32, not {sample.x.dtype}; choose lanczos.")
    with hessian_of(model, sample, batch_size=batch_size, on_batch=on_batch) as check_on:
        check(len(check_on), k, tol, max_products)
        began = perf_counter()
        for parameter in model.parameters():
            parameter.grad = None
        warnings.filterwarnings("ignore", r"Using backward\(\) with create_graph", UserWarning)
        torch.manual_seed(seed)
        solver = _Counted(model, check_on, on_product)
        reported, found = solver.eigenvalues(maxIter=max_products, tol=tol, top_n=k)
        vectors = torch.stack([torch.cat([part.reshape(-1) for part in v]) for v in found])
        images = torch.stack([check_on @ v for v in vectors])
        values = torch.tensor(reported, dtype=images.dtype)
        errors = images - values.to(images.device)[:, None] * vectors
        residuals = on_host(torch.linalg.vector_norm(errors, dim=1))
        order = values.argsort(descending=True)
        return Spectrum(
            values=tuple(values[order].tolist()),
            residuals=tuple(residuals[order].tolist()),
            vectors=vectors[order.to(vectors.device)],
            lowest=(),
            lowest_residuals=(),
            products=solver.products + k,
            converged=bool((residuals < tol * values.abs()).all()),
            loss=check_on.loss,
            seconds=perf_counter() - began,
        )
