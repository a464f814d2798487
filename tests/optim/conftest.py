"""A small BatchNorm network on random data, and what tests do with it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from samar.optim.factory import build_optimizer


@dataclass
class Problem:
    model: nn.Module
    x: Tensor  # (batches, n, 3, 6, 6)
    y: Tensor  # (batches, n)

    def closure(self, optimizer: Optimizer, k: int) -> Callable[[], Tensor]:
        def evaluate() -> Tensor:
            optimizer.zero_grad()
            batch = k % len(self.x)
            loss = nn.functional.cross_entropy(self.model(self.x[batch]), self.y[batch])
            loss.backward()
            return loss

        return evaluate

    def run(self, optimizer: Optimizer, steps: range) -> None:
        for k in steps:
            optimizer.step(self.closure(optimizer, k))

    def optimizer(self, name: str, **kwargs: object) -> Optimizer:
        sgd = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
        return build_optimizer(name, self.model, **{**sgd, "rho": 0.1, **kwargs})

    def tensors(self) -> list[Tensor]:
        """Copies of the parameters and buffers."""
        return [t.detach().clone() for t in self.model.state_dict().values()]


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    def make(dtype: torch.dtype = torch.float32, dropout: float = 0.0) -> Problem:
        torch.manual_seed(1)
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(64, 4),
        ).to(dtype)
        return Problem(model, torch.randn(3, 8, 3, 6, 6, dtype=dtype), torch.randint(4, (3, 8)))

    return make


@pytest.fixture
def assert_same() -> Callable[[Problem, Problem], None]:
    def check(one: Problem, other: Problem) -> None:
        """Every parameter and buffer of the two networks is equal bit for bit."""
        for a, b in zip(one.tensors(), other.tensors(), strict=True):
            assert torch.equal(a, b)

    return check


class OpRecorder(TorchDispatchMode):
    """Names the operations dispatched inside the block, and the fresh tensors they return."""

    def __init__(self) -> None:
        super().__init__()
        self.ops: list[str] = []
        self.fresh: list[Tensor] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.ops.append(str(func))
        given = {t.untyped_storage().data_ptr() for t in _tensors((args, kwargs))}
        self.fresh += [t for t in _tensors(result) if t.untyped_storage().data_ptr() not in given]
        return result


def _tensors(tree: object) -> Iterator[Tensor]:
    for leaf in torch.utils._pytree.tree_leaves(tree):
        if isinstance(leaf, Tensor):
            yield leaf


@pytest.fixture
def op_recorder() -> type[OpRecorder]:
    return OpRecorder
