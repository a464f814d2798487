"""Number formats: precision is a property of the work, not of the process.

What claims digits (the loss at a point, the accuracy of a checkpoint, eigenvalues, traces) runs in
:func:`full_precision`, whatever the process allows elsewhere, and does its small dense algebra in
:func:`exact`. Training may take bf16 where that is known to pay.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

import torch
from torch import Tensor

from samar.device.catalog import BF16, CPU, CUDA, FP32, MPS
from samar.device.waiting import on_host

# On a CPU a step below this is quick anyway, and sharpness, a small difference of two losses, is
# worth fp32; above it bf16 takes half to two thirds of the time (tests/benchmarks/precision.py). A
# GPU is kept waiting by the launches of a small network whatever the format: ResNet-20 (41 million
# on 32 × 32 pixels) stays in fp32 there, ResNet-18 (556 million) does not. The second figure is an
# estimate that no GPU has confirmed (tests/benchmarks/gpu_day.py measures it).
BF16_PAYS_FROM_MACS = {CPU: 10_000_000, CUDA: 200_000_000}


DTYPES = {FP32: None, BF16: torch.bfloat16}
"""None is the network's own."""


def bf16_pays(device: torch.device, macs: int) -> bool:
    """Whether training in bf16 is known to be quicker.

    Args:
        macs: multiply-accumulates of one forward pass of one image.
    """
    least = BF16_PAYS_FROM_MACS.get(device.type)
    if least is None or macs < least or not has_bf16(device):
        return False
    return device.type != CPU or multiplies_bf16()


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 at all, without emulating it."""
    if device.type == CUDA:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == CPU:
        # As oneDNN itself asks before a bf16 convolution (AVX-512 BW, VL and DQ on x86), its
        # environment variables included.
        probe = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        return torch.backends.mkldnn.is_available() and probe is not None and bool(probe())
    return False


def multiplies_bf16() -> bool:
    """Whether this CPU multiplies bf16 natively (AMX or AVX512-bf16)."""
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    native = any(getattr(torch.cpu, probe, bool)() for probe in probes)
    return native and has_bf16(torch.device(CPU))


def fuses_convolutions() -> bool:
    """Whether the CPU has oneDNN's convolution with the operations that follow it."""
    available = torch.backends.mkldnn.is_available()
    return available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def has_float64(device: torch.device) -> bool:
    """Whether the device computes in float64."""
    return device.type != MPS


def exact(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its device where that has it, else on the CPU."""
    return (tensor if has_float64(tensor.device) else on_host(tensor)).double()


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply in full float32 for the time of the block: no TF32, no bf16 inside float32.

    What the process had set is put back when the last of several blocks ends, which may overlap in
    threads. The settings per operation, of PyTorch 2.9 and later, are used where there are such;
    they also work where somebody has used the older ones.
    """
    with _lock:
        if not _blocks:
            _before.enter_context(_multiplying_fully())
        _blocks.append(True)
    try:
        yield
    finally:
        with _lock:
            _blocks.pop()
            if not _blocks:
                _before.close()


_lock, _blocks, _before = RLock(), list[bool](), ExitStack()


@contextmanager
def _multiplying_fully() -> Iterator[None]:
    operations = _operations()
    if not operations:
        with _full_precision_before_29():
            yield
        return
    before = [each.fp32_precision for each in operations]
    for each in operations:
        each.fp32_precision = "ieee"
    yield
    for each, value in zip(operations, before, strict=True):
        each.fp32_precision = "none"  # as the whole process has it, where that is the same
        if each.fp32_precision != value:
            each.fp32_precision = value


@lru_cache
def _operations() -> list[Any]:
    b: Any = torch.backends
    if not hasattr(b.cuda.matmul, "fp32_precision"):
        return []
    cudnn, mkldnn = b.cudnn, b.mkldnn
    return [b.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn]


@contextmanager
def _full_precision_before_29() -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before, tf32 = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("highest")
        cudnn.allow_tf32 = False
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        cudnn.allow_tf32 = tf32
