"""Draw the same random numbers twice.

The two passes of a sharpness-aware step must see the same dropout masks; otherwise the measured
f(x + ε) − f(x) is mostly the difference between two masks.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from samar.device.randomness import RandomState, kept_random_state, random_state, set_random_state


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
