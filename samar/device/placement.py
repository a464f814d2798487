"""Where work computes: device, number format, memory layout and threads.

The training loop asks only its :class:`Placement`, so that a second way to place it (several ranks
under ``torchrun``) has one home.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from samar.device.catalog import AUTO, BF16, CPU, CUDA, FP32, MPS
from samar.device.precision import DTYPES, bf16_pays, has_bf16
from samar.errors import ConfigError

# Below this, a second thread gains nothing, and beside a busy browser it costs a factor of 25: the
# threads wait for each other at every small operation.
THREADS_PAY_FROM_MACS = 1_000_000_000


@dataclass(frozen=True)
class Placement:
    """Device, autocast format (``None`` is fp32) and memory layout of a run.

    Attributes:
        note: why it is not what was asked for; empty where it is.
    """

    device: torch.device
    autocast_dtype: torch.dtype | None
    memory_format: torch.memory_format
    note: str = ""

    @classmethod
    def choose(cls, device: str, precision: str, macs: int) -> "Placement":
        """Resolve ``auto`` against this machine.

        bf16 that was asked for where the device cannot compute in it becomes fp32, with a note.

        Args:
            macs: multiply-accumulates of one forward pass of one image.

        Raises:
            ConfigError: the device asked for is not there.
        """
        place = device_of(device)
        if precision == AUTO:
            precision = BF16 if bf16_pays(place, macs) else FP32
        possible, note = possible_precision(place, precision)
        return cls(place, DTYPES[possible], layout_of(place), note)

    @property
    def precision(self) -> str:
        """The number format of forward and backward."""
        return BF16 if self.autocast_dtype else FP32

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which forward passes of training run."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.autocast_dtype)

    def __str__(self) -> str:
        return described(self.device, self.precision)


def device_of(name: str) -> torch.device:
    """The device that a setting names; ``auto`` is a GPU where there is one.

    Raises:
        ConfigError: this machine has no such device.
    """
    has = {CUDA: torch.cuda.is_available(), MPS: torch.backends.mps.is_available()}
    if name == AUTO:
        name = next((kind for kind in has if has[kind]), CPU)
    if not has.get(name, True):
        raise ConfigError(f"device is {name!r}, but this machine has none; choose auto or cpu.")
    return torch.device(name)


def measuring_device() -> torch.device:
    """Where stored networks are measured: a CUDA card if there is one, else the CPU.

    Not an Apple GPU, which has no float64.
    """
    device = device_of(AUTO)
    return device if device.type == CUDA else torch.device(CPU)


def is_gpu(device: torch.device) -> bool:
    """Whether work is quick there and waits for nobody."""
    return device.type != CPU


def layout_of(device: torch.device) -> torch.memory_format:
    """The memory layout in which convolutions are quickest."""
    return torch.contiguous_format if device.type == MPS else torch.channels_last


def possible_precision(device: torch.device, wanted: str) -> tuple[str, str]:
    """The number format that is taken where one is asked for, and why it is another, if so."""
    if wanted != BF16 or has_bf16(device):
        return wanted, ""
    where = "This processor" if device.type == CPU else f"The device {device}"
    return FP32, f"{where} does not compute in bf16; fp32 was taken instead."


def described(device: torch.device, precision: str = FP32) -> str:
    """Where and how something was computed, in words: ``cpu, fp32, 2 threads``."""
    threads = torch.get_num_threads()
    told = f", {threads} thread{'s' * (threads > 1)}" if device.type == CPU else ""
    return f"{_named(device)}, {precision}{told}"


def provenance(device: torch.device, precision: str = FP32) -> dict[str, str | int]:
    """The same for a manifest."""
    threads = torch.get_num_threads()
    return {"device": _named(device), "precision": precision, "threads": threads}


def _named(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == CUDA else str(device)


def use_fitting_threads(macs_per_step: int) -> None:
    """Compute small steps with one CPU thread; ``OMP_NUM_THREADS``, where set, decides instead.

    Meant for a process that only trains: the number of threads is the whole process's.
    """
    if "OMP_NUM_THREADS" not in os.environ and macs_per_step < THREADS_PAY_FROM_MACS:
        torch.set_num_threads(1)


@contextmanager
def kept_threads() -> Iterator[None]:
    """Put the number of CPU threads back when the block ends."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def fitting_threads(macs_per_step: int) -> Iterator[None]:
    """For the time of a block, in a process that also does other things."""
    with kept_threads():
        use_fitting_threads(macs_per_step)
        yield
