"""Measure a model and leave it exactly as it was found."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from samar.device.randomness import kept_random_state


def unwrapped(model: nn.Module) -> nn.Module:
    """The network itself, of one that is compiled or trains in several processes."""
    while True:
        if isinstance(model, DistributedDataParallel | nn.DataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """Put the model into eval mode for the time of the block, then put everything back.

    Parameters, buffers, gradients, ``requires_grad``, each module's train or eval mode and the
    random states that the model draws from are bit for bit as before, also after an
    exception.

    Example:
        >>> model = nn.BatchNorm1d(2)
        >>> with undisturbed(model):
        ...     _ = model.weight.data.zero_()
        >>> model.weight.tolist(), model.training
        ([1.0, 1.0], True)
    """
    tensors = [*model.parameters(), *model.buffers()]
    values = [tensor.detach().clone() for tensor in tensors]
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    gradients = [None if grad is None else grad.clone() for _, grad, _ in parameters]
    modes = [(module, module.training) for module in model.modules()]
    device = tensors[0].device if tensors else torch.device("cpu")
    with kept_random_state(device):
        try:
            yield model.eval()
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, values, strict=True):
                    tensor.copy_(value)
                for (parameter, grad, wanted), saved in zip(parameters, gradients, strict=True):
                    if grad is not None and saved is not None:
                        grad.copy_(saved)
                    parameter.grad = grad
                    parameter.requires_grad_(wanted)
            for module, mode in modes:
                module.training = mode
