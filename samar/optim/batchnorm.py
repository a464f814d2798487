"""BatchNorm in training: running statistics that keep still, statistics over several processes.

A sharpness-aware step runs the model twice per mini-batch, the second time at perturbed weights.
Running statistics must describe the real weights and count each mini-batch once. Setting the
momentum to 0 still counts batches, and a saved momentum is lost when two freezes overlap. Instead
this clears `track_running_stats`: in training mode a BatchNorm layer then normalizes by the batch
as before and touches neither its statistics nor its counter; in eval mode nothing changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from samar.device.ranks import sum_over_ranks


@contextmanager
def frozen_batchnorm(model: nn.Module) -> Iterator[None]:
    """Freeze the running statistics of every BatchNorm layer of `model` inside the block.

    Covers BatchNorm1d/2d/3d and SyncBatchNorm. May be nested: each block puts back what it found,
    also after an exception.

    Args:
        model: Any module; layers without running statistics are unaffected.

    Example:
        >>> import torch
        >>> layer = torch.nn.BatchNorm1d(3)
        >>> with frozen_batchnorm(layer):
        ...     _ = layer(torch.randn(8, 3))
        >>> int(layer.num_batches_tracked)
        0
    """
    found = [(m, m.track_running_stats) for m in model.modules() if isinstance(m, _BatchNorm)]
    try:
        for layer, _ in found:
            layer.track_running_stats = False
        yield
    finally:
        for layer, tracked in found:
            layer.track_running_stats = tracked


@contextmanager
def synced_batchnorm(model: nn.Module, group: Any) -> Iterator[None]:
    """Normalize by the whole mini-batch, of which each process of a group has a part.

    As PyTorch's SyncBatchNorm, which runs on GPUs only. Outside the block, in evaluation and in
    copies the layers are as before, so that one process may measure alone.

    Args:
        model: any module; each process of the group runs it on its part at the same time.
        group: PyTorch's group of processes; None changes nothing.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)] if group is not None else []
    try:
        for layer in layers:
            layer.forward = partial(_synced, layer, group)  # type: ignore[method-assign]
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def _synced(layer: _BatchNorm, group: Any, x: Tensor) -> Tensor:
    """What the layer makes of this process's part of a mini-batch, (N, C, …)."""
    if not layer.training:
        return type(layer).forward(layer, x)
    values = x if x.dtype == torch.float64 else x.float()
    over = [0, *range(2, x.dim())]
    place = (1, -1, *[1] * (x.dim() - 2))
    count = values.new_full((1,), x.numel() / x.shape[1])
    whole = sum_over_ranks(torch.cat([values.sum(over), count]), group)
    total = whole[-1].detach()
    mean = whole[:-1] / total
    centred = values - mean.view(place)
    variance = sum_over_ranks(centred.square().sum(over), group) / total
    if layer.track_running_stats and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        share = layer.momentum or 1 / layer.num_batches_tracked
        unbiased = variance * (total / (total - 1))
        for running, now in ((layer.running_mean, mean), (layer.running_var, unbiased)):
            assert running is not None
            running.lerp_(now.detach().to(running.dtype), share)
    out = centred * (variance + layer.eps).rsqrt().view(place)
    if layer.affine:
        out = out * layer.weight.view(place) + layer.bias.view(place)
    return out.to(x.dtype)
