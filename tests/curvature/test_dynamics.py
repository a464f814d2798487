"""Edge of stability, κ, gradient in the top eigenspace: against what steps and matrices say."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from samar.curvature.dynamics import dynamics_of, edge_of_stability
from samar.curvature.matrices import GradientCovariance
from samar.curvature.noise import noise_scale, noise_words, spread_of
from samar.curvature.product import hessian_of, operator_of
from samar.curvature.result import Estimate, Report, Spectrum, Trace
from samar.curvature.solvers.eigenvalues import top_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.sample import Sample


@pytest.mark.parametrize(("lam", "rho", "lr"), [(0.0, 0.1, 0.3), (1.0, 0.1, 0.3), (4.0, 0.05, 1.0)])
def test_at_the_edge_a_step_on_a_parabola_lands_on_the_other_side(lam, rho, lr) -> None:
    """x → −x for SGD, SAM and SAMAR alike, whose gradient is g + λ(g̃ − g), g = hx, at |x| = 1."""
    norm = 2.0
    h = edge_of_stability(lr, lam * rho, norm)
    x = norm / h
    g, perturbed = h * x, h * (x + rho)
    assert x - lr * (g + lam * (perturbed - g)) == pytest.approx(-x, rel=1e-12)


def test_long_and_bartletts_formula() -> None:
    lr, rho, norm = 0.2, 0.05, 0.7
    expected = norm / (2 * rho) * (math.sqrt(1 + 8 * rho / (lr * norm)) - 1)
    assert edge_of_stability(lr, rho, norm) == pytest.approx(expected, rel=1e-12)


def test_agrees_with_the_dense_hessian(network, sample, dense) -> None:
    matrix = dense(network, sample)
    with hessian_of(network, sample) as hessian:
        top = top_of(hessian, k=3, tol=1e-9, max_products=62)
        found = dynamics_of(hessian, top.vectors, rho=1e-4)
        g = hessian.gradient
    assert found is not None
    _, vectors = torch.linalg.eigh(matrix)
    inside = vectors[:, -3:].T @ g
    unit = g / g.norm()
    assert found.gradient_norm == pytest.approx(g.norm().item())
    assert found.gradient_share == pytest.approx((inside @ inside / (g @ g)).item(), rel=1e-6)
    assert found.along_gradient == pytest.approx((unit @ matrix @ unit).item(), rel=1e-9)
    assert found.kappa_expected is not None
    # Taylor's next term is of the order ρ².
    assert found.kappa == pytest.approx(found.kappa_expected, abs=1e-6)
    assert found.kappa_expected - 1 == pytest.approx(5e-5 * found.along_gradient / g.norm().item())


def test_the_noise_scale_recovers_what_made_the_gradients() -> None:
    """Gradients G + noise, with tr Σ / |G|² known: unbiased over many draws of n of them."""
    generator = torch.Generator().manual_seed(0)
    true, n = torch.full((20,), 0.3, dtype=torch.float64), 50
    squares, traces = [], []
    for _ in range(2000):
        drawn = true + torch.randn(n, 20, generator=generator, dtype=torch.float64)
        mean = drawn.mean(0)
        total = n / (n - 1) * (drawn - mean).square().sum().item() / n
        traces.append(total)
        squares.append((mean @ mean).item() - total / n)
    assert sum(traces) / 2000 == pytest.approx(20, rel=0.01)
    assert sum(squares) / 2000 == pytest.approx(1.8, rel=0.02)
    found = noise_scale(Estimate(20 * (n - 1) / n, 0.0), math.sqrt(1.8 + 20 / n), n)
    assert found is not None
    assert found.value == pytest.approx(20 / 1.8)


def test_the_noise_scales_error_is_that_of_its_trace() -> None:
    exact, low, high = (noise_scale(Estimate(t, 0.01), 1.0, 100) for t in (5.0, 4.99, 5.01))
    assert exact is not None
    assert low is not None
    assert high is not None
    assert exact.error == pytest.approx((high.value - low.value) / 2, rel=1e-4)


def test_the_noise_scales_error_is_its_spread_over_examples() -> None:
    """Over disjoint draws of the examples, not only that of the trace's random vectors."""
    torch.manual_seed(0)
    n, draws = 128, 40
    net = nn.Linear(3, 2)
    x, y = torch.randn(n * draws, 3), (torch.rand(n * draws) < 0.2).long()
    found = []
    for start in range(0, n * draws, n):
        part = Sample(x[start : start + n], y[start : start + n])
        with operator_of(GradientCovariance, net, part) as matrix:
            trace = hessian_trace(matrix, products=3 * len(matrix)).total
            norm = matrix.gradient.norm().item()
            found.append(noise_scale(trace, norm, n, spread_of(matrix, trace)))
    values = torch.tensor([each.value for each in found])
    errors = torch.tensor([each.error for each in found])
    assert errors.median().item() == pytest.approx(values.std().item(), rel=0.35)
    inside = (values - values.median()).abs() < 2 * errors
    assert inside.float().mean() >= 0.9


def test_the_jackknife_is_that_of_leaving_every_example_out() -> None:
    net, n = nn.Linear(3, 2).double(), 40
    part = Sample(torch.randn(n, 3).double() + 1, torch.zeros(n, dtype=torch.long))

    def scale(chosen: torch.Tensor) -> float:
        with operator_of(GradientCovariance, net, Sample(part.x[chosen], part.y[chosen])) as matrix:
            trace = hessian_trace(matrix, products=3 * len(matrix)).total
            found = noise_scale(trace, matrix.gradient.norm().item(), len(chosen))
        assert found is not None
        return found.value

    everything = torch.arange(n)
    left = torch.tensor([scale(everything[everything != i]) for i in range(n)])
    brute = math.sqrt((n - 1) / n * (left - left.mean()).square().sum().item())
    with operator_of(GradientCovariance, net, part, batch_size=16) as matrix:
        trace = hessian_trace(matrix, products=3 * len(matrix)).total
        assert spread_of(matrix, trace, probes=2000) == pytest.approx(brute, rel=0.1)


def test_a_report_of_before_has_a_noise_scale_without_an_error() -> None:
    spectrum = Spectrum((1.0,), (0.0,), None, (), (), 1, True, 1.0, 0.0)
    trace = Trace(Estimate(5.0, 0.01), {}, 6)
    report = Report(spectrum, None, trace, None, None, 100, 0.0, {}, "covariance", 1.0)
    assert noise_words(report) == "noise scale 5.319 images"
    assert noise_words(replace(report, noise_spread=2.0)) == "noise scale 5.319 ± 2 images"
    known = Report.from_json(replace(report, noise_spread=2.0).as_json())
    assert known.noise_spread == 2.0
