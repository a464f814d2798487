"""Gradients added up over micro-batches: a step as if the whole mini-batch had been there at once.

The sum must be complete before the weights move: both passes go over all micro-batches, and in the
second every one of them is evaluated at the same perturbed weights.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from samar.device.randomness import random_state, replayed_rng
from samar.optim.batchnorm import frozen_batchnorm
from samar.optim.catalog import OPTIMIZERS
from samar.optim.factory import build_optimizer
from samar.optim.second_pass import EveryStep
from tests.optim.steps import EveryNth

two_pass = pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "sgd"])
SIZES = [3, 3, 2]  # of the micro-batches; a mean over all weighs each by its size


class Task:
    """A network in float64 and three mini-batches of eight; the third layer may differ."""

    def __init__(self, third: nn.Module | None = None) -> None:
        torch.manual_seed(2)
        layers = [nn.Linear(5, 6), nn.Tanh(), third or nn.Identity(), nn.Linear(6, 3)]
        self.model = nn.Sequential(*layers).double()
        self.x, self.y = torch.randn(3, 8, 5).double(), torch.randint(3, (3, 8))

    def optimizer(self, name: str, **options: object) -> Optimizer:
        settings = {"lr": 0.2, "weight_decay": 1e-3, "rho": 0.2, **options}
        return build_optimizer(name, self.model, **settings)

    def whole(self, k: int) -> Tensor:
        loss = nn.functional.cross_entropy(self.model(self.x[k]), self.y[k])
        loss.backward()
        return loss.detach()

    def in_parts(self, k: int) -> Tensor:
        total = torch.zeros(())
        for x, y in zip(self.x[k].split(SIZES), self.y[k].split(SIZES), strict=True):
            loss = nn.functional.cross_entropy(self.model(x), y) * (len(x) / len(self.x[k]))
            loss.backward()
            total = total + loss.detach()
        return total

    def tensors(self) -> list[Tensor]:
        return [t.detach() for t in self.model.state_dict().values()]


def _with_closure(
    task: Task, optimizer: Optimizer, evaluate: Callable[[int], Tensor], steps: int
) -> list[float]:
    def closure() -> Tensor:
        optimizer.zero_grad()
        return evaluate(k)

    losses = []
    for step in range(steps):
        k = step % len(task.x)
        losses.append(float(optimizer.step(closure)))
    return losses


def _by_hand(
    task: Task, optimizer: Optimizer, evaluate: Callable[[int], Tensor], steps: int
) -> list[float]:
    losses = []
    for step in range(steps):
        k = step % len(task.x)
        optimizer.zero_grad()
        rng = random_state(optimizer.device)
        loss = evaluate(k)
        if optimizer.wants_second_pass():
            optimizer.first_step()
            with frozen_batchnorm(task.model), replayed_rng(rng):
                perturbed_loss = evaluate(k)
            optimizer.second_step(loss, perturbed_loss)
        else:
            optimizer.plain_step(loss)
        losses.append(float(optimizer.loss))
    return losses


@two_pass
@pytest.mark.parametrize("loop", [_with_closure, _by_hand])
def test_micro_batches_equal_one_big_batch(name, loop):
    big, small = Task(), Task()
    start = [t.clone() for t in big.tensors()]
    expected = _with_closure(big, big.optimizer(name), big.whole, 9)
    got = loop(small, small.optimizer(name), small.in_parts, 9)
    assert got == pytest.approx(expected, rel=1e-12)
    for a, b, s in zip(small.tensors(), big.tensors(), start, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)
        assert float((a - s).abs().max()) > 0.01


@two_pass
@pytest.mark.parametrize("policy", [EveryStep(), EveryNth(2)])
@pytest.mark.parametrize("part", ["whole", "in_parts"])
@pytest.mark.parametrize("third", [nn.BatchNorm1d, nn.Dropout])
def test_a_closure_and_two_passes_by_hand_are_equal_bit_for_bit(name, policy, part, third):
    """Also what BatchNorm remembers, and with dropout, whose masks both passes share."""
    make = {nn.BatchNorm1d: lambda: nn.BatchNorm1d(6), nn.Dropout: lambda: nn.Dropout(0.5)}[third]
    one, other = Task(make()), Task(make())
    results = []
    for task, loop in ((one, _with_closure), (other, _by_hand)):
        torch.manual_seed(11)
        optimizer = task.optimizer(name, second_pass=policy)
        results.append(loop(task, optimizer, getattr(task, part), 6))
    assert results[0] == results[1]
    assert len(set(results[0])) == 6
    for a, b in zip(one.tensors(), other.tensors(), strict=True):
        assert torch.equal(a, b)
