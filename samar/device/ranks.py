"""Processes that train one network together, each on its own part of a mini-batch."""

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from samar.device.catalog import CPU, CUDA, MPS
from samar.errors import ConfigError

MEETING_SECONDS = 120.0
"""So long the processes of a group wait for each other at the start."""
PATIENCE = timedelta(days=365)
"""They wait for each other through a pause; one that dies is noticed at once."""
LOST = ("Connection closed", "Connection reset", "peer", "Broken pipe", "NCCL", "Socket")
"""Words in what PyTorch says when a process of the group is gone."""


@dataclass(frozen=True)
class Group:
    """Processes that train together.

    Attributes:
        rank: this one's number, from 0.
        size: how many there are.
        together: PyTorch's group for tensors; None is its default group.
        talk: PyTorch's group for what is no tensor.
    """

    rank: int
    size: int
    together: Any = None
    talk: Any = None


def join(place: Mapping[str, str] | None = None) -> Group:
    """Meet the other processes.

    Args:
        place: where and as which of them, under the names of torchrun's environment variables; the
            environment itself if None.

    Raises:
        ConfigError: nothing says which of them this is, they did not come, or there are fewer GPUs
            than processes on this machine.
    """
    named = os.environ if place is None else place
    if missing := [name for name in ("RANK", "WORLD_SIZE") if name not in named]:
        raise ConfigError(
            f"{missing[0]} is not set, so this process is none of several; start the script with "
            "torchrun, such as torchrun --nproc-per-node 2 script.py."
        )
    on_gpu = torch.cuda.is_available() and named.get("SAMAR_RANKS_ON") != CPU
    if on_gpu:
        local = int(named.get("LOCAL_RANK", named["RANK"]))
        if local >= torch.cuda.device_count():
            raise ConfigError(
                f"There are {torch.cuda.device_count()} GPUs, fewer than processes; choose fewer "
                "ranks, or device cpu."
            )
        torch.cuda.set_device(local)
    try:
        dist.init_process_group(
            "nccl" if on_gpu else "gloo",
            init_method="env://"
            if place is None
            else "tcp://{MASTER_ADDR}:{MASTER_PORT}".format_map(place),
            rank=int(named["RANK"]),
            world_size=int(named["WORLD_SIZE"]),
            timeout=timedelta(seconds=MEETING_SECONDS),
        )
        talk = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"The processes that train together did not meet ({reason}).") from None
    together = talk if not on_gpu else dist.new_group(timeout=PATIENCE)
    return Group(dist.get_rank(), dist.get_world_size(), together, talk)


def leave(model: nn.Module) -> None:
    """Let go of the others.

    What averages the gradients of :func:`parallel` goes first. Were it the last that holds the
    group, it would keep Python's lock while it waits for a thread that waits for that lock.
    """
    if isinstance(model, DistributedDataParallel):
        del model.reducer, model.logger
    if dist.is_initialized():
        dist.destroy_process_group()


def tell(message: Any, group: Group) -> Any:
    """What the first process says, in all of them; every process must ask."""
    words = [message]
    dist.broadcast_object_list(words, src=0, group=group.talk)
    return words[0]


def lost(error: RuntimeError) -> bool:
    """Whether an error says that a process of the group is gone."""
    return any(word in str(error) for word in LOST)


def parallel(model: nn.Module, device: torch.device, group: Group) -> nn.Module:
    """The network with gradients that are the means over the group.

    Raises:
        ConfigError: the device cannot.
    """
    if device.type == MPS:
        raise ConfigError("Apple's GPUs train in one process; set ranks to 1, or device to cpu.")
    place = [device] if device.type == CUDA else None
    return DistributedDataParallel(model, device_ids=place, process_group=group.together)


def ranks_of(model: nn.Module | None) -> Any:
    """The group of processes that train this network together; None where it is alone."""
    if not isinstance(model, DistributedDataParallel):
        return None
    group = model.process_group
    return group if dist.get_world_size(group) > 1 else None


def apart(model: nn.Module | None) -> AbstractContextManager[Any]:
    """Within it the gradients of a backward pass stay each process's own."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def mean_over_ranks(tensor: Tensor, group: Any) -> Tensor:
    """The mean of a tensor over a group of processes, the same number in each.

    It is not waited for on a GPU, but every process must ask. Itself where the group is None.
    """
    if group is None:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total, group=group)
    return total / dist.get_world_size(group)


def mean_over_ranks_(tensors: list[Tensor], group: Any) -> None:
    """The means of many tensors in place, in one exchange for each number format."""
    for dtype in {tensor.dtype for tensor in tensors}:
        own = [tensor for tensor in tensors if tensor.dtype == dtype]
        whole = mean_over_ranks(torch.cat([tensor.flatten() for tensor in own]), group)
        pieces = whole.split([tensor.numel() for tensor in own])
        for tensor, piece in zip(own, pieces, strict=True):
            tensor.copy_(piece.view_as(tensor))


class RankMeans:
    """Means over the processes that train one network together; alone, the values themselves.

    Args:
        model: the network, a DistributedDataParallel where there are several processes.
        local: whether each process has a first gradient of its own.
    """

    def __init__(self, model: nn.Module | None, local: bool) -> None:
        self._ranks = ranks_of(model)
        self._apart = self._ranks if local else None
        self._model = model if local else None

    def first_pass(self) -> AbstractContextManager[Any]:
        """Within it a backward pass leaves its gradients apart, if they are each process's own."""
        return apart(self._model)

    def losses(self, losses: list[Tensor]) -> Iterable[Tensor]:
        """Losses of the whole mini-batch."""
        if self._ranks is None or not losses:
            return losses
        return mean_over_ranks(torch.stack(losses), self._ranks)

    def norms(self, *norms: Tensor) -> Iterable[Tensor]:
        """Norms of first gradients."""
        return norms if self._apart is None else mean_over_ranks(torch.stack(norms), self._apart)

    def gradients_(self, gradients: list[Tensor]) -> None:
        """First gradients, in place."""
        if self._apart is not None:
            mean_over_ranks_(gradients, self._apart)
