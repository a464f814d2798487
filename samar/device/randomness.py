"""Random states that a network on a device draws from: the CPU's and the device's own.

The two passes of a sharpness-aware step draw the same numbers twice: with other dropout masks the
measured f(x + ε) − f(x) would mostly be the difference between two masks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from samar.device.catalog import CUDA, MPS


class RandomState(NamedTuple):
    """A copy of the states; ``own`` is None where the device draws from the CPU's."""

    device: torch.device
    cpu: Tensor
    own: Tensor | None


def random_state(device: torch.device) -> RandomState:
    """Copy the states; they lie in host memory, so nothing waits."""
    own = None
    if device.type == CUDA:
        own = torch.cuda.get_rng_state(device)
    elif device.type == MPS:
        own = torch.mps.get_rng_state()
    return RandomState(device, torch.get_rng_state(), own)


def set_random_state(state: RandomState) -> None:
    """Go on from a copy."""
    torch.set_rng_state(state.cpu)
    if state.own is not None and state.device.type == CUDA:
        torch.cuda.set_rng_state(state.own, state.device)
    elif state.own is not None and state.device.type == MPS:
        torch.mps.set_rng_state(state.own)


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Put the states back when the block ends, however it does."""
    before = random_state(device)
    try:
        yield
    finally:
        set_random_state(before)


@contextmanager
def replayed_rng(state: RandomState) -> Iterator[None]:
    """Draw from `state` inside the block; afterwards go on from where the block was entered.

    Args:
        state: What `random_state` returned before the numbers to repeat were drawn.

    Example:
        >>> state = random_state(torch.device("cpu"))
        >>> first = torch.rand(2)
        >>> with replayed_rng(state):
        ...     second = torch.rand(2)
        >>> torch.equal(first, second)
        True
    """
    with kept_random_state(state.device):
        set_random_state(state)
        yield


class OwnRng:
    """The random state of one of several that take turns in a process, each as if it were alone.

    Args:
        device: Where it draws; its numbers go on from those drawn there last.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> own = OwnRng(torch.device("cpu"))
        >>> alone = torch.rand(2)
        >>> with own:
        ...     first = torch.rand(1)
        >>> _ = torch.rand(7)
        >>> with own:
        ...     second = torch.rand(1)
        >>> torch.equal(torch.cat([first, second]), alone)
        True
    """

    def __init__(self, device: torch.device) -> None:
        self._own = self._outer = random_state(device)

    def __enter__(self) -> "OwnRng":
        self._outer = random_state(self._own.device)
        set_random_state(self._own)
        return self

    def __exit__(self, *_: object) -> None:
        self._own = random_state(self._own.device)
        set_random_state(self._outer)
