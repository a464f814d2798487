"""Waiting for a device, and the time that its work takes.

A GPU works behind the host's back: a time read without waiting is that of the launches, and a
value that is read waits for everything before it. So all values come to the host by
:func:`on_host`, and a training step calls it nowhere.
"""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from samar.device.catalog import CPU, CUDA, MPS

Mark: TypeAlias = "float | torch.Event"
"""A moment in the work of a device."""

_TIMED = (CUDA, MPS)

LAG = 8
"""Steps after which a value from a device is read: long enough that it has been computed."""


def on_host(tensor: Tensor) -> Tensor:
    """The tensor on the CPU; the one place where work waits for a device.

    A tensor of the ``meta`` device has no values. Ones stand for them, so that any work can be
    walked through without a device and without memory.
    """
    if tensor.is_meta:
        return torch.ones(tensor.shape, dtype=tensor.dtype)
    return tensor.cpu()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that it was given; for the edges of what is timed."""
    if device.type == CUDA:
        torch.cuda.synchronize(device)
    elif device.type == MPS:
        torch.mps.synchronize()


def mark(device: torch.device) -> Mark:
    """This moment in the device's work, without waiting for it."""
    if device.type not in _TIMED:
        return time.perf_counter()
    return _recorded(torch.Event(device.type, enable_timing=True), device)


def seconds_between(first: Mark, second: Mark) -> float:
    """Seconds of the device's time between two marks; it must have reached the second."""
    if isinstance(first, float) or isinstance(second, float):
        assert isinstance(first, float)
        assert isinstance(second, float)
        return second - first
    return float(first.elapsed_time(second)) / 1000


def _recorded(event: torch.Event, device: torch.device) -> torch.Event:
    """The event after all that its device was given, which need not be the current one."""
    if device.type == CUDA:
        event.record(torch.cuda.current_stream(device))
    else:
        event.record()
    return event


class HostCopy:
    """A tensor on its way to the CPU; nothing waits until it is read.

    Args:
        tensor: must not be written to before it has arrived.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.Event | None = None
        if tensor.device.type in _TIMED:
            self._host = tensor.to(CPU, non_blocking=True)
            self._event = _recorded(torch.Event(tensor.device.type), tensor.device)
        else:
            self._host = on_host(tensor)

    def tensor(self) -> Tensor:
        """The tensor on the CPU; waits for it."""
        if self._event is not None:
            self._event.synchronize()
        return self._host

    def value(self) -> float:
        """The number of a 0-dim tensor; waits for it."""
        return self.tensor().item()


class HostReading:
    """Newest value of a 0-dim tensor that the host can know without waiting.

    On a CPU that is the newest one. From another device a value is copied at once and read `LAG`
    steps later; the same number in every run, so that a run can be repeated.

    Args:
        value: before anything was put in.
    """

    def __init__(self, value: float) -> None:
        self.value = value
        self._coming: deque[tuple[int, Callable[[], float]]] = deque()

    def put(self, tensor: Tensor, step: int) -> None:
        """Hand in the value that step number `step` left."""
        self.advance(step)
        if tensor.device.type != CPU:
            self._coming.append((step, HostCopy(tensor).value))
        else:
            self._coming.clear()
            self.value = on_host(tensor).item()

    def advance(self, step: int) -> None:
        """Step number `step` begins: what is `LAG` steps old becomes known."""
        while self._coming and self._coming[0][0] <= step - LAG:
            self.value = self._coming.popleft()[1]()

    def save(self) -> list[Any]:
        """The value, and those on their way with their steps; waits for them."""
        return [self.value, *([step, value()] for step, value in self._coming)]

    def load(self, saved: list[Any]) -> None:
        """Go on from what `save` returned."""
        self.value, *coming = saved
        self._coming = deque((step, partial(float, value)) for step, value in coming)

    def __getstate__(self) -> list[Any]:
        return self.save()

    def __setstate__(self, saved: list[Any]) -> None:
        self.load(saved)
