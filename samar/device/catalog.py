"""What devices and number formats are called; nothing here imports torch."""

AUTO, CPU, CUDA, MPS = "auto", "cpu", "cuda", "mps"
DEVICES = {AUTO: "auto", CPU: "CPU", CUDA: "CUDA GPU", MPS: "Apple GPU"}
"""A setting's choices, with titles."""

FP32, BF16 = "fp32", "bf16"
PRECISIONS = {AUTO: "auto", FP32: "fp32", BF16: "bf16 autocast"}


def in_words(size: float) -> str:
    """Bytes as people read them: ``3.1 GB``, ``40 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 1):.0f} MB"


def precision_in(described: str | None) -> str:
    """The number format in what a run said of where it computed, such as ``cpu, bf16``."""
    return BF16 if BF16 in (described or "").split(", ") else FP32
