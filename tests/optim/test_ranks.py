"""Two processes under DistributedDataParallel: one λ, the decisions of one, the steps of one."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from samar.optim.factory import build_optimizer
from samar.optim.rules import TrendPower
from samar.optim.second_pass import build_second_pass
from tests.optim.steps import closure_of

STEPS, RANKS, PATIENCE = 14, 2, 120
POLICIES = ("always", "dither")
LOCAL = {"sam": 1.0, "samar": 0.4}
"""Arms whose processes perturb along gradients of their own, and the λ at which theirs is held."""


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def batches() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(STEPS, 8, 6, generator=generator, dtype=torch.float64)
    return x, torch.randint(3, (STEPS, 8), generator=generator)


def stepped(optimizer: Any, model: nn.Module, part: slice) -> Iterator[None]:
    """Take one step after the other on a part of each batch."""
    device = next(model.parameters()).device
    for x, y in zip(*(each.to(device) for each in batches()), strict=True):
        closure = closure_of(
            optimizer, lambda x=x[part], y=y[part]: nn.functional.cross_entropy(model(x), y)
        )

        optimizer.step(closure)
        yield


def trained(model: nn.Module, part: slice, policy: str) -> Tensor:
    """λ, ratio, loss and gradients of each step, and the weights at the end, as one vector."""
    options = {"second_pass": build_second_pass(policy), "rule": TrendPower(gain=1.0)}
    optimizer = build_optimizer("samar", model, lr=0.2, momentum=0.9, rho=0.3, **options)
    found: list[Tensor] = []
    for _ in stepped(optimizer, model, part):
        spent = optimizer.loss.new_tensor(float(optimizer.gradients))
        found += [optimizer.lam, optimizer.ratio, optimizer.loss, spent]
    whole = [torch.stack(found), *(p.detach().flatten() for p in model.parameters())]
    return torch.cat(whole).cpu()


def locally(model: nn.Module, name: str, lam: float, part: slice) -> Tensor:
    """Loss, sharpness and norm of each step, and the weights at the end."""
    options = {"lam": lam, "lam_min": lam, "lam_max": lam} if name == "samar" else {}
    options |= {"second_pass": build_second_pass("always")}
    optimizer = build_optimizer(name, model, lr=0.2, momentum=0.9, rho=0.3, **options)
    optimizer.local_perturbation = True
    found: list[Tensor] = []
    for _ in stepped(optimizer, model, part):
        found += [optimizer.loss, optimizer.sharpness, optimizer.grad_norm]
    return torch.cat(
        [torch.stack(found), *(p.detach().flatten() for p in model.parameters())]
    ).cpu()


def by_hand(lam: float) -> Tensor:
    """The same, worked out in one process from the definition of m-sharpness."""
    model, found = network(), list[Tensor]()
    weights = list(model.parameters())
    speed = [torch.zeros_like(w) for w in weights]

    def loss_and_gradient(x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = nn.functional.cross_entropy(model(x), y)
        return loss.detach(), torch.autograd.grad(loss, weights)

    for x, y in zip(*batches(), strict=True):
        seen, direction = [], [torch.zeros_like(w) for w in weights]
        for part in (slice(0, None, RANKS), slice(1, None, RANKS)):
            loss, first = loss_and_gradient(x[part], y[part])
            norm = torch.cat([g.flatten() for g in first]).norm()
            with torch.no_grad():
                for w, g in zip(weights, first, strict=True):
                    w += 0.3 * g / norm
            perturbed, second = loss_and_gradient(x[part], y[part])
            with torch.no_grad():
                for w, g in zip(weights, first, strict=True):
                    w -= 0.3 * g / norm
            seen.append(torch.stack([loss, perturbed - loss, norm]))
            for d, g, h in zip(direction, first, second, strict=True):
                d += ((1 - lam) * g + lam * h) / RANKS
        with torch.no_grad():
            for w, v, d in zip(weights, speed, direction, strict=True):
                v.mul_(0.9).add_(d)
                w -= 0.2 * v
        found.append(torch.stack(seen).mean(0))
    return torch.cat([torch.cat(found), *(w.detach().flatten() for w in weights)])


def one_of_two(rank: int, folder: str, device: str) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meeting"
    backend = "nccl" if device == "cuda" else "gloo"
    place = torch.device(device, rank) if device == "cuda" else torch.device(device)
    if device == "cuda":
        torch.cuda.set_device(place)
    dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=RANKS)
    for policy in POLICIES:
        found = trained(
            DistributedDataParallel(network().to(place)), slice(rank, None, RANKS), policy
        )
        torch.save(found, f"{folder}/{policy}-{rank}.pt")
    for name, lam in LOCAL.items():
        model = DistributedDataParallel(network().to(place))
        torch.save(
            locally(model, name, lam, slice(rank, None, RANKS)), f"{folder}/{name}-{rank}.pt"
        )
    with suppress(RuntimeError):
        dist.barrier()
    os._exit(0)  # without gloo's threads being joined, which now and then aborts


def train_in_two(folder: Path, device: str) -> None:
    """Each process leaves what it found in the folder."""
    both = mp.spawn(one_of_two, (str(folder), device), nprocs=RANKS, join=False)
    over = time.monotonic() + PATIENCE
    while not both.join(timeout=1):
        if time.monotonic() > over:  # one waits for a gradient that the other does not take
            for process in both.processes:
                process.kill()
            pytest.fail("the processes wait for each other")


def check(folder: Path, policy: str) -> None:
    """Both processes found the same, and what one with the whole batch finds."""
    first, second = (torch.load(folder / f"{policy}-{rank}.pt") for rank in range(RANKS))
    alone = trained(network(), slice(None), policy)
    assert torch.equal(first.nan_to_num(), second.nan_to_num())  # λ too, bit for bit
    torch.testing.assert_close(first, alone, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes found."""
    where = tmp_path_factory.mktemp("ranks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
        train_in_two(where, "cpu")
    return where


@pytest.mark.parametrize("policy", POLICIES)
def test_two_ranks_are_one_process_with_the_whole_batch(folder: Path, policy: str) -> None:
    check(folder, policy)


@pytest.mark.parametrize("name", LOCAL)
def test_each_perturbs_along_its_own_gradient(folder: Path, name: str) -> None:
    first, second = (torch.load(folder / f"{name}-{rank}.pt") for rank in range(RANKS))
    assert torch.equal(first, second)
    torch.testing.assert_close(first, by_hand(LOCAL[name]), rtol=1e-9, atol=1e-12)


def test_vasso_has_one_average_for_all() -> None:
    optimizer = build_optimizer("vasso", network(), lr=0.1, rho=0.1)
    with pytest.raises(ValueError, match="averages the gradient of all processes"):
        optimizer.local_perturbation = True  # type: ignore[attr-defined]
