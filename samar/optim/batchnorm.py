"""Freezing BatchNorm's running statistics, so that they count each mini-batch once.

A sharpness-aware step runs the model twice per mini-batch, the second time at perturbed weights.
Running statistics must describe the real weights and count each mini-batch once. Setting the
momentum to 0 still counts batches, and a saved momentum is lost when two freezes overlap. Instead
this clears `track_running_stats`: in training mode a BatchNorm layer then normalizes by the batch
as before and touches neither its statistics nor its counter; in eval mode nothing changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def frozen_batchnorm(model: nn.Module | None) -> Iterator[None]:
    """Freeze the running statistics of every BatchNorm layer of `model` inside the block.

    Covers BatchNorm1d/2d/3d and SyncBatchNorm. May be nested: each block puts back what it found,
    also after an exception.

    Args:
        model: Any module, or None; layers without running statistics are unaffected.

    Example:
        >>> import torch
        >>> layer = torch.nn.BatchNorm1d(3)
        >>> with frozen_batchnorm(layer):
        ...     _ = layer(torch.randn(8, 3))
        >>> int(layer.num_batches_tracked)
        0
    """
    layers = [] if model is None else [m for m in model.modules() if isinstance(m, _BatchNorm)]
    tracked = [layer.track_running_stats for layer in layers]
    try:
        for layer in layers:
            layer.track_running_stats = False
        yield
    finally:
        for layer, track in zip(layers, tracked, strict=True):
            layer.track_running_stats = track
