"""The random states that a network on a device draws from: the CPU's and the device's own."""

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
