import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from samar.curvature.product import hessian_of
from samar.curvature.solvers.density import spectral_density


def test_matches_the_exact_spectrum(network, sample, dense) -> None:
    exact = torch.linalg.eigvalsh(dense(network, sample)).numpy()
    width = exact[-1] - exact[0]
    with hessian_of(network, sample) as hessian:
        found = spectral_density(hessian, probes=10, steps=25)
    assert found.products == 250
    assert found.weights.sum() == pytest.approx(1)
    assert np.trapezoid(found.density, found.grid) == pytest.approx(1, abs=1e-3)
    assert wasserstein_distance(found.nodes, exact, found.weights) < 0.02 * width
    # The smeared density is as far off as it is smeared.
    assert wasserstein_distance(found.grid, exact, found.density) < 0.02 * width + found.sigma
    # A uniform guess over the same range would not pass.
    assert wasserstein_distance(found.grid, exact) > 0.1 * width
    assert abs(found.trace - exact.sum()) < 2 * found.trace_error
    assert found.highest == pytest.approx(exact[-1], rel=1e-6)
    assert found.lowest == pytest.approx(exact[0], rel=1e-6)


def test_outliers_are_eigenvalues_far_from_the_rest(wide, dense) -> None:
    net, images = wide
    exact = torch.linalg.eigvalsh(dense(net, images)).numpy()
    with hessian_of(net, images) as hessian:
        found = spectral_density(hessian, steps=40)
    assert 3 <= len(found.outliers) <= 0.01 * len(exact)
    for value in found.outliers:
        assert np.abs(exact - value).min() < 1e-3 * exact[-1]
    assert found.outliers[-1] == pytest.approx(exact[-1], rel=1e-6)


def test_cancelled_and_seeded(network, sample) -> None:
    def cancel(count: int, residual: float) -> None:
        raise KeyboardInterrupt

    with hessian_of(network, sample) as hessian:
        with pytest.raises(KeyboardInterrupt):
            spectral_density(hessian, on_product=cancel)
        runs = [spectral_density(hessian, probes=1, steps=9, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(runs[0].nodes, runs[1].nodes)
    assert not np.array_equal(runs[0].nodes, runs[2].nodes)
    assert np.isnan(runs[0].trace_error)
