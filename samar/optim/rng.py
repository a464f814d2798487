"""Draw the same random numbers twice.

The two passes of a sharpness-aware step must see the same dropout masks; otherwise the measured
f(x + ε) − f(x) is mostly the difference between two masks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class RngState(NamedTuple):
    """torch's random state: the CPU's and, if the work runs there, one CUDA device's."""

    device: torch.device
    cpu: Tensor
    cuda: Tensor | None


def capture_rng(device: torch.device) -> RngState:
    """Copy the random state that a model on `device` draws from (host memory, no device sync)."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return RngState(device, torch.get_rng_state(), cuda)


@contextmanager
def replayed_rng(state: RngState) -> Iterator[None]:
    """Draw from `state` inside the block; afterwards go on from where the block was entered.

    Args:
        state: What `capture_rng` returned before the numbers to repeat were drawn.

    Example:
        >>> state = capture_rng(torch.device("cpu"))
        >>> first = torch.rand(2)
        >>> with replayed_rng(state):
        ...     second = torch.rand(2)
        >>> torch.equal(first, second)
        True
    """
    entered = capture_rng(state.device)
    _set_rng(state)
    try:
        yield
    finally:
        _set_rng(entered)


def _set_rng(state: RngState) -> None:
    torch.set_rng_state(state.cpu)
    if state.cuda is not None:
        torch.cuda.set_rng_state(state.cuda, state.device)


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
        self._own = self._outer = capture_rng(device)

    def __enter__(self) -> "OwnRng":
        self._outer = capture_rng(self._own.device)
        _set_rng(self._own)
        return self

    def __exit__(self, *_: object) -> None:
        self._own = capture_rng(self._own.device)
        _set_rng(self._outer)
