"""Reading a file of weights from anywhere: no code runs, and no claim in it takes memory.

Formats are told by their first bytes, not by their name: safetensors, PyTorch's zip archive, and
PyTorch's older pickle. A pickle is read with ``weights_only=True``, so one that carries code is
refused and never run. Sizes are checked before anything is read: the file's own, what a zip archive
says it unpacks to, and what every tensor says it holds. Storages of a zip archive are mapped from
the file, so that a tensor cannot reach beyond it.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from samar.errors import CheckpointError

MAX_BYTES = 2_000_000_000
"""Largest weights file that is read."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights")
PREFIXES = ("module.", "_orig_mod.")
# How PyTorch's reader says that a pickle wants to call or make something that it must not.
REFUSALS = ("GLOBAL", "Unsupported class", "unrecognized function", "Can only")
ZIP, PICKLE = b"PK\x03\x04", b"\x80"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file of weights holds.

    Attributes:
        tensors: on the CPU, by name, wrappers and prefixes taken off.
        ordered: whether they come in the order of the network's layers; safetensors sorts them.
        metadata: what a safetensors file says about itself; empty for others.
    """

    tensors: dict[str, Tensor]
    ordered: bool
    metadata: dict[str, str] = field(default_factory=dict)


def read_checkpoint(path: Path, *, max_bytes: int = MAX_BYTES) -> Checkpoint:
    """Read the tensors of a checkpoint.

    Args:
        path: a safetensors file, or one that ``torch.save`` wrote.
        max_bytes: a larger file, or one that claims to hold more, is refused.

    Raises:
        CheckpointError: the file is missing, damaged, too large, holds code, or holds no tensors.
    """
    head = _head(path, max_bytes)
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _safetensors(path)
    content = torch_file(path, mapped=True)
    tensors = _named_tensors(content)
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; give a file with a model's state_dict.")
    largest = path.stat().st_size
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise CheckpointError(
                f"{path} holds {name} in a form that is not read (sparse, quantized or complex); "
                "save the model's plain state_dict."
            )
        if tensor.numel() * tensor.element_size() > largest:
            raise CheckpointError(
                f"{path} is refused: it claims {tensor.numel() * tensor.element_size() / 1e9:.3g} "
                f"GB in {name} and is only {largest / 1e6:.3g} MB long; save the state_dict anew."
            )
    return Checkpoint({k: v.detach().clone() for k, v in tensors.items()}, ordered=True)


def torch_file(path: Path, *, mapped: bool = False) -> dict[str, Any]:
    """Read a file of ``torch.save`` without running code.

    Args:
        mapped: leave the bytes of the tensors in the file; they are valid while the file is.

    Raises:
        CheckpointError: the file is missing, damaged, holds code, or holds no mapping.
    """
    head, damaged = _head(path), f"{path} is damaged or not a PyTorch file."
    is_zip = head.startswith(ZIP)
    if is_zip:
        _check_archive(path)
    elif not head.startswith(PICKLE):
        raise CheckpointError(damaged)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            content = torch.load(
                str(path), map_location="cpu", weights_only=True, mmap=mapped and is_zip
            )
    except pickle.UnpicklingError as error:
        if any(words in str(error) for words in REFUSALS):
            raise CheckpointError(
                f"{path} holds more than tensors and is refused: loading it could run code; "
                "save the model's state_dict and load that."
            ) from None
        raise CheckpointError(damaged) from None
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program and is refused: it holds code; save the model's "
                "state_dict and load that."
            ) from None
        raise CheckpointError(damaged) from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no state_dict; save model.state_dict() and load that.")
    return dict(content)


def _head(path: Path, max_bytes: int | None = None) -> bytes:
    """The first bytes of a file that is there and not too large."""
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}; check the path.")
    size = path.stat().st_size
    if max_bytes is not None and size > max_bytes:
        raise CheckpointError(
            f"{path} has {size / 1e9:.3g} GB and is refused; files up to {max_bytes / 1e9:.3g} GB "
            "are read. Save the state_dict alone, without the optimizer."
        )
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None


def _safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
        tensors = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is not a readable safetensors file ({error}).") from None
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; give a file with a model's state_dict.")
    return Checkpoint({bare(k): v for k, v in tensors.items()}, ordered=False, metadata=metadata)


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is; ``torch.save`` never compresses."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise CheckpointError(f"{path} is damaged or not a PyTorch file.") from None
    if unpacked > path.stat().st_size:
        raise CheckpointError(
            f"{path} is refused: it unpacks to {unpacked / 1e9:.3g} GB, more than it holds; give "
            "the file as torch.save wrote it."
        )


def _named_tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of the state_dict, which may lie a few wrappers deep."""
    for _ in range(3):
        inner = next((content[w] for w in WRAPPERS if isinstance(content.get(w), Mapping)), None)
        if inner is None:
            break
        content = inner
    return {
        bare(name): value
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def bare(name: str) -> str:
    """A tensor's name without what DataParallel and ``torch.compile`` put before it."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name
