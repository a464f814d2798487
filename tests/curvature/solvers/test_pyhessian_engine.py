import pytest
import torch
from torch import nn

from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.curvature.solvers.pyhessian_engine import pyhessian_eigenvalues
from samar.data.sample import Sample
from samar.errors import ConfigError


@pytest.fixture
def single() -> tuple[nn.Module, Sample]:
    net = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 4))
    net(torch.randn(50, 10))
    return net, Sample(torch.randn(50, 10), torch.randint(4, (50,)))


def test_both_engines_agree_and_nothing_doubles(single) -> None:
    net, images = single
    exact = top_eigenvalues(net, images, k=2, tol=1e-5)
    for _ in range(2):
        found = pyhessian_eigenvalues(net, images, k=2, tol=1e-6, max_products=1000, batch_size=20)
        assert found.values == pytest.approx(exact.values, rel=1e-3)


def test_the_model_stays_as_it_was(single) -> None:
    net, images = single
    net(images.x).sum().backward()
    before = [p.grad.clone() for p in net.parameters()]
    pyhessian_eigenvalues(net, images, k=1)
    assert net.training
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), before, strict=True))


def test_residuals_are_true_and_unmask_a_loose_tolerance(single) -> None:
    net, images = single
    told: list[int] = []
    found = pyhessian_eigenvalues(
        net, images, k=3, tol=0.2, on_product=lambda count, residual: told.append(count)
    )
    assert told == list(range(1, found.products - 2))
    assert list(found.values) == sorted(found.values, reverse=True)
    assert found.residuals[-1] > 1e-2 * found.values[-1]
    assert not pyhessian_eigenvalues(net, images, k=3, tol=1e-2, max_products=4).converged


def test_float64_is_refused_in_a_sentence(network, sample) -> None:
    with pytest.raises(ConfigError, match="PyHessian computes in float32"):
        pyhessian_eigenvalues(network, sample)
