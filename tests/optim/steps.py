"""Steps of an optimizer in tests: the closure of a loss, and a policy that skips every other."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from samar.optim.second_pass import SKIP, TAKE, Late, SecondPass

NEVER = Late(begin=1.0)


def closure_of(optimizer: Optimizer, loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


@dataclass(frozen=True)
class EveryNth(SecondPass):
    name = "every_nth"
    steps: int = 2

    def decide(self, moment, memory):
        return TAKE if moment.step % self.steps == 0 else SKIP
