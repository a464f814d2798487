"""The O(1/√K) claim, seen on one problem.

For nonconvex f with Lipschitz gradients the paper bounds min_k E‖∇f(x_k)‖² by O(1/√K) when step
size and radius shrink like 1/√K. Here f(x) = Σ x_i²/(1 + x_i²) in 20 dimensions, started where its
curvature is negative, with Gaussian gradient noise shared by both passes of a step; each K is a run
of its own with η, ρ ∝ 1/√K, and true gradients are measured.

What it shows: with λ moving by the default rule, the expected squared gradient at a uniformly drawn
iterate (the mean over k and seeds, what such proofs bound, and no less than the minimum over k of
the expectation) falls about like K^(−1/2), and the smallest one at least as fast. The second test
shows that the estimator can fail: with constant η and ρ nothing falls. What it does not show: a
proof, another problem, another noise, or that the rate is better than SGD's (the claim is: equal).
"""

import math
from functools import cache

import torch

from samar.optim.samar import SAMAR

HORIZONS = (64, 256, 1024)
SEEDS = range(4)


def _gradient(x):
    return 2 * x / (1 + x.square()).square()


@cache
def _run(horizon, lr, rho, seed):
    """(min, mean) over k of ‖∇f(x_k)‖², and λ's range."""
    generator = torch.Generator().manual_seed(seed)
    noise = 0.3 * torch.randn(horizon, 20, generator=generator, dtype=torch.float64)
    sign = torch.randint(2, (20,), generator=generator) * 2.0 - 1.0
    x = torch.nn.Parameter(2.0 * sign.double())
    optimizer = SAMAR([x], lr=lr, rho=rho)
    squared, lams = [], []
    for xi in noise:

        def closure(xi=xi):
            w = x.detach()
            x.grad = _gradient(w) + xi
            return (w.square() / (1 + w.square())).sum() + xi @ w

        squared.append(_gradient(x.detach()).square().sum())
        optimizer.step(closure)
        lams.append(optimizer.lam)
    squares, lams = torch.stack(squared), torch.stack(lams)
    return squares.min().item(), squares.mean().item(), (lams.min().item(), lams.max().item())


def _slopes(lr, rho):
    """Least-squares slopes against log K of the log of the seed means of (min, mean)."""
    log_k = torch.tensor(HORIZONS, dtype=torch.float64).log()
    centred = log_k - log_k.mean()
    values = torch.tensor(
        [[_run(k, lr(k), rho(k), seed)[:2] for seed in SEEDS] for k in HORIZONS],
        dtype=torch.float64,
    )
    logs = values.mean(dim=1).log()  # (horizons, 2)
    return (centred @ logs / centred.square().sum()).tolist()


def test_the_squared_gradient_falls_at_least_like_one_over_root_k():
    def lr(k):
        return 2.0 / math.sqrt(k)

    def rho(k):
        return 1.0 / math.sqrt(k)

    smallest, random_iterate = _slopes(lr, rho)
    assert random_iterate <= -0.45
    assert smallest <= -0.45
    low, high = _run(HORIZONS[-1], lr(HORIZONS[-1]), rho(HORIZONS[-1]), 0)[2]
    assert low < 1.0 < high


def test_with_constant_step_and_radius_it_does_not():
    smallest, random_iterate = _slopes(lambda k: 0.5, lambda k: 0.5)
    assert random_iterate > -0.2
    assert smallest > -0.2
