"""Where a run computes: device, number format and memory layout, decided in one place.

The loop asks only this object, so that a second way to place it (several ranks under ``torchrun``)
has one home. bf16 is chosen on CUDA cards that have it, and on CPUs with AMX or AVX512-bf16 for
networks large enough that the casts pay; everything else computes in fp32.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from samar.errors import ConfigError

# Below this, a second thread gains nothing, and beside a busy browser it costs a factor of 25: the
# threads wait for each other at every small operation.
THREADS_PAY_FROM_MACS = 1_000_000_000

# Below this a step is quick anyway, and sharpness, a small difference of two losses, is worth fp32;
# above it bf16 takes half to two thirds of the time (tests/benchmarks/precision.py).
BF16_PAYS_FROM_MACS = 10_000_000


@dataclass(frozen=True)
class Placement:
    """Device, autocast format (``None`` is fp32) and memory layout of a run."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    memory_format: torch.memory_format

    @classmethod
    def choose(cls, device: str, precision: str, macs: int) -> "Placement":
        """Resolve ``auto`` against this machine.

        Args:
            macs: multiply-accumulates of one forward pass of one image.

        Raises:
            ConfigError: the device asked for is not there.
        """
        place = _device(device)
        wants_bf16 = precision == "bf16" or (precision == "auto" and _bf16_pays(place, macs))
        return cls(
            device=place,
            autocast_dtype=torch.bfloat16 if wants_bf16 else None,
            memory_format=torch.channels_last if place.type != "mps" else torch.contiguous_format,
        )

    def autocast(self) -> AbstractContextManager[None]:
        """The context in which forward passes of training run."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.autocast_dtype is not None
        )

    def __str__(self) -> str:
        name = (
            torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device
        )
        return f"{name}, {'bf16' if self.autocast_dtype else 'fp32'}"


def _device(name: str) -> torch.device:
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if has_cuda else "mps" if has_mps else "cpu"
    if (name == "cuda" and not has_cuda) or (name == "mps" and not has_mps):
        raise ConfigError(f"device is {name!r}, but this machine has none; choose auto or cpu.")
    return torch.device(name)


def _bf16_pays(device: torch.device, macs: int) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and cpu_has_bf16() and macs >= BF16_PAYS_FROM_MACS


def use_fitting_threads(macs_per_step: int) -> None:
    """Compute small steps with one CPU thread; ``OMP_NUM_THREADS``, where set, decides instead.

    Meant for a process that only trains: the number of threads is the whole process's.
    """
    if "OMP_NUM_THREADS" not in os.environ and macs_per_step < THREADS_PAY_FROM_MACS:
        torch.set_num_threads(1)


@contextmanager
def fitting_threads(macs_per_step: int) -> Iterator[None]:
    """For the time of a block, in a process that also does other things."""
    before = torch.get_num_threads()
    use_fitting_threads(macs_per_step)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively (AMX or AVX512-bf16)."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
