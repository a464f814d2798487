"""Measure a model and leave it exactly as it was found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from samar.device.randomness import kept_random_state
from samar.errors import RunError


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
def kept_randomness(model: nn.Module) -> Iterator[None]:
    """Put the random states that a model may draw from back when the block ends.

    They are PyTorch's, of the CPU and of the model's device, Python's and NumPy's.
    """
    first = next(chain(model.parameters(), model.buffers()), torch.zeros(()))
    python, numpy = random.getstate(), np.random.get_state()
    with kept_random_state(first.device):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[nn.Module]:
    """Put the model into eval mode for the time of the block, then put everything back.

    Parameters, buffers, gradients, ``requires_grad``, each module's train or eval mode and the
    random states that the model draws from, also Python's and NumPy's, are bit for bit as before,
    also after an exception. To autograd nothing was written, so that a graph from before the block
    can still go backward. Plain attributes of the modules are not put back.

    Raises:
        RunError: a parameter or buffer was changed, and does not take its old values.

    Example:
        >>> model = nn.BatchNorm1d(2)
        >>> with undisturbed(model):
        ...     _ = model.weight.data.zero_()
        >>> model.weight.tolist(), model.training
        ([1.0, 1.0], True)
    """
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    values = [tensor.detach().clone() for tensor in tensors.values()]
    versions = torch.autograd._unsafe_preserve_version_counter(
        tuple(tensor for tensor in tensors.values() if not tensor.is_inference())
    )
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    gradients = [None if grad is None else grad.clone() for _, grad, _ in parameters]
    modes = [(module, module.training) for module in model.modules()]
    with kept_randomness(model):
        try:
            yield model.eval()
        finally:
            with torch.no_grad():
                pairs = zip(tensors.items(), values, strict=True)
                lost = [name for (name, old), value in pairs if not _put_back(old, value)]
                for (parameter, grad, wanted), saved in zip(parameters, gradients, strict=True):
                    if grad is not None and saved is not None:
                        grad.copy_(saved)
                    parameter.grad = grad
                    parameter.requires_grad_(wanted)
            for module, mode in modes:
                module.training = mode
            if lost:
                raise RunError(
                    f"The network is not as it was before it was measured: {lost[0]} does not take "
                    "its old values; load the weights anew."
                )
            with versions:  # the values are the old ones, so its leaving may set the old versions
                pass


def _put_back(tensor: Tensor, value: Tensor) -> bool:
    """Whether the tensor has this value again."""
    try:
        tensor.copy_(value)
    except RuntimeError:  # an expanded tensor takes none, and mostly was not changed
        return torch.equal(tensor, value)
    return True
