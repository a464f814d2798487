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
    for vector, each in zip(vectors, found, strict=True):
        values = []
        for start in range(0, 20, 4):  # the last three examples fill no piece
            piece = Sample(sample.x[start : start + 4], sample.y[start : start + 4])
            with operator_of(MATRICES[name], network, piece) as part:
                values.append((vector @ (part @ vector)).item())
        expected = torch.tensor(values, dtype=torch.float64)
        assert each.value == pytest.approx(expected.mean().item(), rel=1e-9)
        assert each.error == pytest.approx(expected.std().item() / math.sqrt(5), rel=1e-9)


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
    own, other = images.evenly_spaced(30), images.others(30)
    assert len(other) == 30
    assert not set(own.labels.tolist()) & set(other.labels.tolist())
    assert other.labels.min() < 5
    assert other.labels.max() > 90
    with pytest.raises(ConfigError, match=r"51 images and as many others .* at most 50 images"):
        images.others(51)
