"""Processes that train one network together, each on its own part of a mini-batch."""

import torch.distributed as dist
from torch import Tensor


def several_ranks() -> bool:
    """Whether this process is one of several."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def mean_over_ranks(tensor: Tensor) -> Tensor:
    """The mean of a tensor over all processes, the same number in each; itself where it is alone.

    It is not waited for on a GPU, but every process must ask.
    """
    if not several_ranks():
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
