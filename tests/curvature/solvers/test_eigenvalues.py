import numpy as np
import pytest
import torch
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import nn

from samar.curvature.matrices import MATRICES
from samar.curvature.product import hessian_of, operator_of
from samar.curvature.solvers.eigenvalues import top_eigenvalues, top_of
from samar.data.sample import Sample
from samar.errors import ConfigError


def test_equals_the_dense_spectrum_at_both_ends(network, sample, dense) -> None:
    exact = torch.linalg.eigvalsh(dense(network, sample)).flip(0).tolist()
    found = top_eigenvalues(network, sample, k=5, tol=1e-8, both_ends=True)
    assert found.converged
    assert found.values == pytest.approx(exact[:5], rel=1e-7)
    assert found.lowest == pytest.approx(exact[: -5 - 1 : -1], rel=1e-7)


def test_all_eigenvalues_of_a_singular_hessian(dense) -> None:
    net = nn.Linear(2, 2).double()
    images = Sample(torch.randn(3, 2, dtype=torch.float64), torch.randint(2, (3,)))
    exact = torch.linalg.eigvalsh(dense(net, images)).flip(0).tolist()
    found = top_eigenvalues(net, images, k=6)
    assert found.converged
    assert found.values == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("name", ["gauss_newton", "empirical_fisher", "covariance"])
def test_an_eigenvalue_of_zero_converges_at_the_rounding(name) -> None:
    """A matrix of a rank below its size has nothing at its lower end that a residual resolves."""
    net = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3))
    images = Sample(torch.randn(20, 6), torch.randint(3, (20,)))
    with operator_of(MATRICES[name], net, images) as matrix:
        plain = top_of(matrix, k=2, tol=1e-3)
        found = top_of(matrix, k=2, tol=1e-3, both_ends=True)
        whole = torch.stack([matrix @ v for v in torch.eye(len(matrix))]).double()
    assert plain.converged
    assert found.converged
    assert found.products < 80
    exact = torch.linalg.eigvalsh(whole)
    assert found.values == pytest.approx(exact.flip(0)[:2].tolist(), rel=1e-4)
    assert found.lowest == pytest.approx([0, 0], abs=1e-5 * found.values[0])
    for value, residual in zip(found.values, found.residuals, strict=True):
        assert residual < 1e-3 * value


def test_agrees_with_scipy_and_residuals_are_true(wide) -> None:
    net, images = wide
    found = top_eigenvalues(net, images, k=6, tol=1e-3, batch_size=17)
    with hessian_of(net, images) as hessian:
        shape = (len(hessian), len(hessian))
        product = lambda v: (hessian @ torch.from_numpy(v.ravel().copy())).numpy()  # noqa: E731
        operator = LinearOperator(shape, product, dtype=np.float64)
        exact = eigsh(operator, k=6, return_eigenvectors=False, which="LA")[::-1]
        for value, residual, vector in zip(
            found.values, found.residuals, found.vectors, strict=True
        ):
            true = (hessian @ vector - value * vector).norm().item()
            assert residual == pytest.approx(true, rel=1e-6, abs=1e-10)
            assert true < 1e-3 * value
    assert found.values == pytest.approx(exact, rel=1e-4)
    identity = torch.eye(6, dtype=torch.float64)
    torch.testing.assert_close(found.vectors @ found.vectors.T, identity)


def test_thick_restart_gives_the_same_in_bounded_memory(wide, monkeypatch) -> None:
    net, images = wide
    whole = top_eigenvalues(net, images, k=4, tol=1e-7)
    monkeypatch.setattr("samar.curvature.solvers.krylov.BASIS_BYTES", 0)
    seen: list[int] = []
    from samar.curvature.solvers import krylov

    restart = krylov.KrylovSpace.restart
    monkeypatch.setattr(
        krylov.KrylovSpace,
        "restart",
        lambda space, ritz, kept: (seen.append(space.capacity), restart(space, ritz, kept))[1],
    )
    small = top_eigenvalues(net, images, k=4, tol=1e-7)
    assert seen
    assert set(seen) == {22}
    assert small.converged
    assert small.values == pytest.approx(whole.values, rel=1e-10)


def test_warm_start_saves_products_and_is_not_fooled(wide) -> None:
    net, images = wide
    cold = top_eigenvalues(net, images, k=5, tol=1e-2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.002 * torch.randn_like(parameter))
    again = top_eigenvalues(net, images, k=5, tol=1e-2, seed=1)
    warm = top_eigenvalues(net, images, k=5, tol=1e-2, seed=1, start=cold.vectors)
    assert warm.products < again.products
    assert warm.values == pytest.approx(again.values, rel=1e-3)
    # Started from all but the first eigenvector, it finds the first all the same.
    fooled = top_eigenvalues(net, images, k=1, tol=1e-6, start=again.vectors[1:])
    assert fooled.values[0] == pytest.approx(again.values[0], rel=1e-3)


def test_progress_counts_and_cancels(network, sample) -> None:
    told: list[tuple[int, float]] = []
    found = top_eigenvalues(network, sample, k=3, on_product=lambda *word: told.append(word))
    assert [count for count, _ in told] == list(range(1, found.products + 1))
    assert told[1][1] == float("inf")
    assert told[-1][1] < 1e-3 <= told[-2][1]

    def cancel(count: int, residual: float) -> None:
        if count == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        top_eigenvalues(network, sample, on_product=cancel)
    assert network.training


def test_an_unconverged_result_says_so(wide) -> None:
    found = top_eigenvalues(*wide, k=5, max_products=6)
    assert not found.converged
    assert found.products == 6
    assert max(found.residuals) > 1e-3 * found.values[0]


def test_the_seed_decides(network, sample) -> None:
    state = torch.get_rng_state()
    first, second = (top_eigenvalues(network, sample, seed=3) for _ in range(2))
    assert first.values == second.values
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "0 eigenvalues were asked for"),
        ({"k": 63}, "63 eigenvalues were asked for, but the model has 62"),
        ({"tol": 0.0}, "The tolerance is 0; choose a positive one"),
        ({"max_products": 2}, "5 eigenvalues need at least 5 products, not 2"),
        ({"start": torch.ones(4)}, "The start vector has 4 numbers, but the model has 62"),
    ],
)
def test_problems_are_one_sentence(network, sample, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        top_eigenvalues(network, sample, **options)
