"""What SAM, ASAM, VaSSO and SAMAR cost besides the gradients, next to pytorch-optimizer's SAM.

Parameters have the shapes of ResNet-18 (62 tensors, 11.2 million numbers); gradients are filled in
beforehand, and the base step, the same SGD for all, is timed on its own. Contenders take turns
within each repeat, so a slow moment of the machine hits all alike; times are medians. Ratios are
over pytorch-optimizer's SAM with `foreach=True`, its fastest form, or over its ASAM likewise.

    PYTHONPATH=. python tests/benchmarks/optimizer_overhead.py [--repeats 30] [--device cpu]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytorch_optimizer
import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

from samar.models.build import build_model
from samar.optim.sam import ASAM, SAM
from samar.optim.samar import SAMAR
from samar.optim.vasso import VaSSO

SGD_OPTIONS = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4, "foreach": True}
PEER, PEER_ASAM = "their SAM, foreach", "their ASAM, foreach"
WARM_UP = 2


class OpCounter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


@dataclass
class Contender:
    params: list[Tensor]
    calls: tuple[Callable[[], None], ...]  # first step, second step, base step
    peer: str
    ops: list[int] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)

    def measure(self, gradients: list[Tensor]) -> None:
        """Run one step; each call starts from its own copy of the gradients."""
        times = []
        for call in self.calls:
            for p, g in zip(self.params, gradients, strict=True):
                p.grad = g.clone()
            _wait(self.params[0])
            start = time.perf_counter()
            call()
            _wait(self.params[0])
            times.append(time.perf_counter() - start)
        self.seconds.append(times)

    def count(self, gradients: list[Tensor]) -> None:
        self.ops = []
        for call in self.calls[:2]:
            for p, g in zip(self.params, gradients, strict=True):
                p.grad = g.clone()
            with OpCounter() as counter:
                call()
            self.ops.append(counter.count)


def _wait(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def contenders(device: str) -> dict[str, Contender]:
    losses = torch.tensor(1.0, device=device), torch.tensor(1.5, device=device)

    def build(kind: type[Optimizer], peer: str = PEER, **options: object) -> Contender:
        params = list(build_model("resnet18").to(device).parameters())
        optimizer = kind(params, SGD, **SGD_OPTIONS | options)
        theirs = kind is pytorch_optimizer.SAM
        base = optimizer.base_optimizer if theirs else optimizer.base
        base_step, base.step = base.step, lambda: None
        arguments = () if theirs else losses
        second_step = lambda: optimizer.second_step(*arguments)  # noqa: E731
        return Contender(params, (optimizer.first_step, second_step, base_step), peer)

    return {
        "their SAM, as it comes": build(pytorch_optimizer.SAM, foreach=None),
        PEER: build(pytorch_optimizer.SAM),
        **{kind.__name__: build(kind) for kind in (SAM, VaSSO, SAMAR)},
        PEER_ASAM: build(pytorch_optimizer.SAM, PEER_ASAM, adaptive=True),
        "ASAM": build(ASAM, PEER_ASAM),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    entrants = contenders(options.device)
    gradients = [1e-3 * torch.randn_like(p) for p in entrants[PEER].params]
    for _ in range(options.repeats + WARM_UP):
        for contender in entrants.values():
            contender.measure(gradients)
    for contender in entrants.values():
        contender.count(gradients)

    print(f"{options.device}, {torch.get_num_threads()} thread(s), torch {torch.__version__}")
    print("operations, and milliseconds, without the base step (its own in the last column)")
    print(f"{'':24}{'ops':>9}{'ratio':>7}{'first':>9}{'second':>9}{'sum':>9}{'ratio':>7}{'SGD':>9}")
    medians = {
        name: [1e3 * statistics.median(column) for column in zip(*c.seconds[WARM_UP:], strict=True)]
        for name, c in entrants.items()
    }
    for name, (first, second, base) in medians.items():
        peer = entrants[name].peer
        ops = " + ".join(map(str, entrants[name].ops))
        fewer = sum(entrants[name].ops) / sum(entrants[peer].ops)
        total = first + second
        ratio = total / sum(medians[peer][:2])
        print(
            f"{name:24}{ops:>9}{fewer:7.2f}{first:9.2f}{second:9.2f}{total:9.2f}{ratio:7.2f}"
            f"{base:9.2f}"
        )


if __name__ == "__main__":
    main()
