"""What devices and number formats are called, and whether torchrun gathered several processes.

Nothing here imports torch.
"""

import os

AUTO, CPU, CUDA, MPS = "auto", "cpu", "cuda", "mps"
DEVICES = {AUTO: "auto", CPU: "CPU", CUDA: "CUDA GPU", MPS: "Apple GPU"}
"""A setting's choices, with titles."""

TORCHRUN = "TORCHELASTIC_RUN_ID"
"""In the environment of a process that torchrun started as one of several."""

FP32, BF16 = "fp32", "bf16"
PRECISIONS = {AUTO: "auto", FP32: "fp32", BF16: "bf16 autocast"}


def gathered() -> tuple[int, int]:
    """Which of how many processes of torchrun this is; 0 of 1 where torchrun did not start it."""
    if TORCHRUN not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def in_words(size: float) -> str:
    """Bytes as people read them: ``3.1 GB``, ``40 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 1):.0f} MB"


def precision_in(described: str | None) -> str:
    """The number format in what a run said of where it computed, such as ``cpu, bf16``."""
    return BF16 if BF16 in (described or "").split(", ") else FP32
