"""Memory of a device: what is free, and what to do when it is not enough."""

import gc
import re
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

from samar.device.catalog import CUDA, MPS, in_words
from samar.errors import ConfigError

T = TypeVar("T")

TOO_MUCH = 2.0

_SAID = re.compile(r"out of memory|not enough memory|can't allocate memory|alloc_failed", re.I)


def free_bytes(device: torch.device) -> int:
    """What can still be taken on the device, without what other processes hold."""
    if device.type == CUDA:
        free = torch.cuda.mem_get_info(device)[0]
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + idle)
    if device.type == MPS:
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(psutil.virtual_memory().available)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # What the allocators of the CPU and of Apple GPUs raise has no type of its own.
    return isinstance(error, RuntimeError) and bool(_SAID.search(str(error)))


def halving(attempt: Callable[[int], T], size: int, least: int = 1) -> tuple[T, int]:
    """Do something in pieces of a size, of half that size if memory is not enough, and so on.

    Args:
        attempt: begins anew every time.
        size: images a piece at first.
        least: where even this is too much, the error goes on.

    Returns:
        The result, and the size of the pieces that fitted.
    """
    while True:
        try:
            return attempt(size), size
        except Exception as error:
            if not is_out_of_memory(error) or size <= least:
                raise
        size = max(least, size // 2)
        release()


def release() -> None:
    """Give back what is held for later, after memory was not enough."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def require(needed: int, device: torch.device) -> None:
    """Refuse what does not fit by far, before it begins.

    Args:
        needed: bytes.

    Raises:
        ConfigError: much more is needed than is free on the device.
    """
    free = free_bytes(device)
    if needed > TOO_MUCH * free:
        raise ConfigError(
            f"This takes about {in_words(needed)} of memory, and {in_words(free)} are free on "
            f"{device}; choose a smaller batch or a smaller network."
        )
