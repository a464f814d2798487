"""What devices and number formats are called; nothing here imports torch."""

AUTO, CPU, CUDA, MPS = "auto", "cpu", "cuda", "mps"
DEVICES = {AUTO: "auto", CPU: "CPU", CUDA: "CUDA GPU", MPS: "Apple GPU"}
"""A setting's choices, with titles."""

FP32, BF16 = "fp32", "bf16"
PRECISIONS = {AUTO: "auto", FP32: "fp32", BF16: "bf16 autocast"}


def precision_in(described: str | None) -> str:
    """The number format in what a run said of where it computed, such as ``cpu, bf16``."""
    return BF16 if BF16 in (described or "").split(", ") else FP32
