"""Gauss–Newton, the rest, Fisher and gradient covariance against dense float64 matrices."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from samar.curvature import product
from samar.curvature.matrices import MATRICES, in_gauss_newton
from samar.curvature.product import hessian_of, operator_of
from samar.curvature.solvers.density import spectral_density
from samar.curvature.solvers.eigenvalues import top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.given import objective_of
from samar.data.sample import Sample
from samar.errors import ConfigError
from tests.curvature.test_product import SquareModule


def jacobian(net: nn.Module, x: Tensor) -> Tensor:
    """∂z/∂θ, (n, outputs, parameters), of the network in eval mode."""
    named = {name: p.detach() for name, p in net.named_parameters()}

    def outputs(at: dict[str, Tensor]) -> Tensor:
        return functional_call(net, at, (x,))

    mode = net.training
    net.eval()
    parts = jacrev(outputs)(named)
    net.train(mode)
    return torch.cat([part.flatten(2) for part in parts.values()], 2)


def gradients(net: nn.Module, sample: Sample) -> Tensor:
    """g_i of every example, (n, parameters), by one backward pass each."""
    mode = net.training
    net.eval()
    rows = []
    for x, y in zip(sample.x, sample.y, strict=True):
        loss = F.cross_entropy(net(x[None]), y[None])
        parts = torch.autograd.grad(loss, list(net.parameters()))
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    net.train(mode)
    return torch.stack(rows)


@pytest.fixture
def expected(network, sample, dense) -> dict[str, Tensor]:
    """Every matrix, dense; Gauss–Newton as the exact Fisher, a mean over labels as drawn."""
    net = network.eval()
    probabilities = net(sample.x).softmax(1).detach()
    gauss_newton = torch.zeros(62, 62, dtype=torch.float64)
    for label in range(2):
        each = gradients(net, Sample(sample.x, torch.full_like(sample.y, label)))
        gauss_newton += (each * probabilities[:, label : label + 1]).T @ each / len(sample)
    each = gradients(net, sample)
    network.train()
    hessian = dense(network, sample)
    return {
        "hessian": hessian,
        "gauss_newton": gauss_newton,
        "rest": hessian - gauss_newton,
        "empirical_fisher": each.T @ each / len(sample),
        "covariance": torch.cov(each.T, correction=0),
    }


@pytest.mark.parametrize("name", MATRICES)
def test_equals_the_dense_matrix(network, sample, expected, name, monkeypatch) -> None:
    eye = torch.eye(62, dtype=torch.float64)
    for kept, batch_size in ((product.KEPT_BYTES, 7), (product.KEPT_BYTES, 23), (0, 7)):
        monkeypatch.setattr(product, "KEPT_BYTES", kept)
        with operator_of(MATRICES[name], network, sample, batch_size=batch_size) as operator:
            assert operator.kept == (math.ceil(23 / batch_size) if kept else 0)
            found = torch.stack([operator @ v for v in eye])
        torch.testing.assert_close(found, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", MATRICES)
def test_goes_through_every_solver(network, sample, expected, name) -> None:
    matrix = expected[name]
    values = torch.linalg.eigvalsh(matrix).flip(0)
    with operator_of(MATRICES[name], network, sample) as operator:
        top = top_of(operator, k=3, tol=1e-8, max_products=62)
        density = spectral_density(operator, probes=2, steps=62)
        trace = hessian_trace(operator, products=3 * 62)
    torch.testing.assert_close(
        torch.tensor(top.values, dtype=torch.float64), values[:3], rtol=1e-7, atol=1e-9
    )
    assert density.highest == pytest.approx(values[0].item(), rel=1e-6)
    assert trace.total.value == pytest.approx(torch.trace(matrix).item(), rel=1e-9)


def test_a_mean_squared_error(network, sample) -> None:
    """G = 2/(n c) Σ JᵀJ, there also through a loss that a person gave."""
    data = (sample.x, torch.randn(len(sample), 2, dtype=torch.float64))
    objective = objective_of(network, F.mse_loss, data, batch_size=9)
    flat = jacobian(network, sample.x).flatten(0, 1)
    with operator_of(MATRICES["gauss_newton"], network, objective) as operator:
        v = torch.randn(62, dtype=torch.float64)
        torch.testing.assert_close(operator @ v, flat.T @ (flat @ v) * 2 / len(flat))
    residual = (network.eval()(sample.x) - data[1]).detach()
    each = torch.einsum("nc,ncp->np", residual, jacobian(network, sample.x))  # 2/c · with c = 2
    with operator_of(MATRICES["empirical_fisher"], network, objective) as operator:
        torch.testing.assert_close(operator @ v, each.T @ (each @ v) / len(each))


def test_an_operation_that_torch_func_refuses(sample) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), SquareModule(), nn.Linear(3, 2)).double()
    v = torch.randn(59, dtype=torch.float64)
    flat = jacobian(nn.Sequential(*net[:2], _Power(), net[3]), sample.x)
    p = net(sample.x).softmax(1).detach()
    middle = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    dense = torch.einsum("ncp,ncd,ndq->pq", flat, middle, flat) / len(sample)
    with operator_of(MATRICES["gauss_newton"], net, sample) as operator:
        torch.testing.assert_close(operator @ v, dense @ v)


class _Power(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x**2


def test_how_much_of_an_eigenvalue_is_gauss_newton(network, sample, expected) -> None:
    with hessian_of(network, sample, batch_size=7) as hessian:
        top = top_of(hessian, k=3, tol=1e-8, max_products=62)
        parts = in_gauss_newton(hessian, top.vectors)
    vectors = top.vectors
    wanted = torch.einsum("ki,ij,kj->k", vectors, expected["gauss_newton"], vectors)
    torch.testing.assert_close(torch.tensor(parts, dtype=torch.float64), wanted)


def test_a_loss_that_does_not_fit_is_refused(network, sample) -> None:
    whole = objective_of(network, data=sample.x, forward=lambda net, x: net(x).square().mean())
    with (
        pytest.raises(ConfigError, match="give loss= and pairs"),
        operator_of(MATRICES["gauss_newton"], network, whole) as operator,
    ):
        operator @ operator.gradient
    summed = objective_of(network, nn.CrossEntropyLoss(reduction="sum"), (sample.x, sample.y))
    with (
        pytest.raises(ConfigError, match="a loss that is a mean over them"),
        operator_of(MATRICES["covariance"], network, summed),
    ):
        pass


def test_the_network_is_left_as_it_was(network, sample) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for matrix in MATRICES.values():
        with operator_of(matrix, network, sample) as operator:
            operator @ operator.gradient
    assert network.training
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(before[n], value) for n, value in network.state_dict().items())


@pytest.mark.parametrize("name", ["hessian", "rest"])
def test_weights_in_which_the_loss_is_linear_have_no_curvature(name) -> None:
    net = nn.Linear(3, 2).double()
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)
    given = objective_of(net, lambda outputs, targets: (outputs * targets).mean(), (x, y))
    with operator_of(MATRICES[name], net, given) as matrix:
        assert not (matrix @ torch.ones(8, dtype=torch.float64)).any()
        assert top_of(matrix, k=2, tol=1e-3).values == (0.0, 0.0)


def test_the_rest_of_a_linear_layer_is_zero(sample) -> None:
    net = nn.Linear(sample.x[0].numel(), 2).to(sample.x.dtype)
    flat = Sample(sample.x.flatten(1), sample.y)
    with operator_of(MATRICES["rest"], net, flat) as rest:
        assert top_of(rest, k=1, tol=1e-3).values == (0.0,)
