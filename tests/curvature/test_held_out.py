"""Curvature along fitted eigenvectors on other examples: unbiased, with the error that it has."""

import math

import pytest
import torch

from samar.curvature.held_out import along
from samar.curvature.matrices import MATRICES
from samar.curvature.product import operator_of
from samar.curvature.solvers.eigenvalues import top_of
from samar.data.dataset import ImageSet
from samar.data.sample import Sample
from samar.errors import ConfigError


@pytest.mark.parametrize("name", ["hessian", "gauss_newton", "empirical_fisher"])
def test_is_the_quadratic_form_and_its_standard_error(network, sample, name) -> None:
    with operator_of(MATRICES[name], network, sample, batch_size=4) as matrix:
        vectors = torch.linalg.qr(torch.randn(62, 2, dtype=torch.float64)).Q.T
        found = along(matrix, vectors)
    with operator_of(MATRICES[name], network, sample) as matrix:
        whole = [vector @ (matrix @ vector) for vector in vectors]
    for vector, each, expected in zip(vectors, found, whole, strict=True):
        values = []
        for start in range(0, 20, 4):  # the last three examples fill no piece
            piece = Sample(sample.x[start : start + 4], sample.y[start : start + 4])
            with operator_of(MATRICES[name], network, piece) as part:
                values.append((vector @ (part @ vector)).item())
        error = torch.tensor(values, dtype=torch.float64).std().item() / math.sqrt(5)
        assert each.value == pytest.approx(expected.item(), rel=1e-9)
        assert each.error == pytest.approx(error, rel=1e-9)


def test_goes_over_the_examples_once(network, sample) -> None:
    batches = []
    with operator_of(
        MATRICES["hessian"],
        network,
        sample,
        batch_size=5,
        on_batch=lambda: batches.append(1),
        products=False,
    ) as matrix:
        along(matrix, torch.eye(62, dtype=torch.float64)[:3])
    assert len(batches) == 5


def test_encloses_the_eigenvalue_over_all_examples(wide) -> None:
    """Over halves drawn at random: fitted ones are above it, held out ones below, on average."""
    net, whole = wide
    with operator_of(MATRICES["hessian"], net, whole) as matrix:
        (exact,) = top_of(matrix, k=1, tol=1e-6, max_products=300).values
    generator = torch.Generator().manual_seed(0)
    fitted, other = [], []
    for _ in range(12):
        order = torch.randperm(60, generator=generator)
        here, there = (Sample(whole.x[half], whole.y[half]) for half in order.split(30))
        with operator_of(MATRICES["hessian"], net, here) as matrix:
            top = top_of(matrix, k=1, tol=1e-4, max_products=300)
        with operator_of(MATRICES["hessian"], net, there, batch_size=5) as matrix:
            (found,) = along(matrix, top.vectors)
        fitted.append(top.values[0])
        other.append(found.value)
    assert sum(other) / 12 < exact < sum(fitted) / 12


def test_the_other_images_are_others_from_all_over() -> None:
    images = ImageSet(torch.arange(100, dtype=torch.uint8).reshape(100, 1, 1, 1), torch.arange(100))
    own = images.evenly_spaced(30)
    for wanted in (10, 70):
        other = images.others(30, wanted)
        assert len(other) == wanted
        assert not set(own.labels.tolist()) & set(other.labels.tolist())
        assert other.labels.min() < 5
        assert other.labels.max() > 85
    with pytest.raises(ConfigError, match=r"30 images and 71 others .* at most 100 together"):
        images.others(30, 71)
