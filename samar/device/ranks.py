"""Processes that train one network together, each on its own part of a mini-batch."""

from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


def ranks_of(model: nn.Module | None) -> Any:
    """The group of processes that train this network together; None where it is alone."""
    if not isinstance(model, DistributedDataParallel):
        return None
    group = model.process_group
    return group if dist.get_world_size(group) > 1 else None


def mean_over_ranks(tensor: Tensor, group: Any) -> Tensor:
    """The mean of a tensor over a group of processes, the same number in each.

    It is not waited for on a GPU, but every process must ask. Itself where the group is None.
    """
    if group is None:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total, group=group)
    return total / dist.get_world_size(group)
