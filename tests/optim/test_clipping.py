"""Clipping: of d_k, which the base optimizer receives, and of the gradient of each pass."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from samar.optim.rules import Fixed
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.two_pass import TwoPassOptimizer
from tests.optim.steps import NEVER, EveryNth

RHO, LAM, LR, MOMENTUM, LONGEST = 0.3, 1.7, 0.1, 0.9, 0.25
SGD = {"lr": LR, "momentum": MOMENTUM}
CURVATURE = torch.tensor([3.0, 0.5, 1.5], dtype=torch.float64)


def _weights() -> nn.Parameter:
    return nn.Parameter(torch.tensor([0.4, -2.0, 0.9], dtype=torch.float64))


def _gradient(x: Tensor) -> Tensor:
    return CURVATURE * x + x**3


def _clipped(d: Tensor) -> Tensor:
    """clip_grad_norm_, which adds 1e-6 to the norm, written out."""
    return d * min(1.0, LONGEST / (float(d.norm()) + 1e-6))


def _closure(
    optimizer: Optimizer, p: nn.Parameter, then: Callable[[], object] = lambda: None
) -> Callable[[], Tensor]:
    def evaluate() -> Tensor:
        optimizer.zero_grad()
        loss = 0.5 * (CURVATURE * p**2).sum() + 0.25 * (p**4).sum()
        loss.backward()
        then()
        return loss

    return evaluate


def _clip_direction(optimizer: TwoPassOptimizer, p: nn.Parameter) -> list[float]:
    """Returns where the lengths before the clipping go."""
    lengths = []

    def clip(*_: object) -> None:  # torch raises where a hook returns something
        lengths.append(float(clip_grad_norm_([p], LONGEST)))

    optimizer.base.register_step_pre_hook(clip)
    return lengths


def _samar(p: nn.Parameter, **options: object) -> SAMAR:
    settings = {"rho": RHO, "lam": LAM, "rule": Fixed(), "second_pass": EveryStep(), **options}
    return SAMAR([p], **settings, **SGD)


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("policy", [EveryStep(), EveryNth(2), NEVER])
def test_a_hook_on_the_base_clips_the_direction(policy, by_hand):
    """The hook is torch's own; it sees d_k at every step, with a second gradient or without."""
    p = _weights()
    optimizer = _samar(p, second_pass=policy)
    _clip_direction(optimizer, p)
    x, velocity = p.detach().clone(), torch.zeros(3, dtype=torch.float64)
    clipped = 0
    for k in range(40):
        closure = _closure(optimizer, p)
        if by_hand:
            loss = closure()
            if optimizer.wants_second_pass():
                optimizer.first_step()
                optimizer.second_step(loss, closure())
            else:
                optimizer.plain_step(loss)
        else:
            optimizer.step(closure)
        g = d = _gradient(x)
        if policy == EveryStep() or (policy == EveryNth(2) and k % 2 == 0):
            d = (1 - LAM) * g + LAM * _gradient(x + RHO * g / g.norm())
        clipped += bool(d.norm() > LONGEST)
        velocity = MOMENTUM * velocity + _clipped(d)
        x = x - LR * velocity
        torch.testing.assert_close(p.detach(), x, rtol=1e-11, atol=1e-13)
        assert float(optimizer.grad_norm) == pytest.approx(float(g.norm()))  # before the clipping
    assert clipped > 0
    assert policy == EveryStep() or clipped < 40


def test_clipping_in_the_closure_clips_the_gradient_of_each_pass():
    p = _weights()
    optimizer = _samar(p)
    x, velocity = p.detach().clone(), torch.zeros(3, dtype=torch.float64)
    for _ in range(10):
        optimizer.step(_closure(optimizer, p, lambda: clip_grad_norm_([p], LONGEST)))
        g = _gradient(x)
        uphill = _gradient(x + RHO * g / g.norm())  # ε has length ρ, however long g is
        velocity = MOMENTUM * velocity + (1 - LAM) * _clipped(g) + LAM * _clipped(uphill)
        x = x - LR * velocity
        torch.testing.assert_close(p.detach(), x, rtol=1e-11, atol=1e-13)
        assert float(optimizer.grad_norm) == pytest.approx(float(_clipped(g).norm()))
