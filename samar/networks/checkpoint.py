"""Weights and resume states on disk: written atomically, read without running code.

Weights of ours are safetensors with string metadata. Files from elsewhere are safetensors or what
``torch.save`` wrote, told by their first bytes; those are read with ``weights_only=True``, so that
one that carries code is refused and never run.
"""

import os
import pickle
import re
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.device.waiting import on_host
from samar.errors import CheckpointError, shown

MAX_BYTES = 2_000_000_000
"""Largest weights file that is read."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "model_state", "weights")
PREFIXES = ("module.", "_orig_mod.")
# How PyTorch's reader says that a pickle wants to call or make something that it must not.
REFUSALS = ("GLOBAL", "Unsupported class", "unrecognized function", "Can only")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a file of weights.

    Attributes:
        tensors: on the CPU, by name, wrappers and prefixes taken off.
        metadata: what a safetensors file says about itself; empty for others.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str] = field(default_factory=dict)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the tensors of a safetensors file, or of one that ``torch.save`` wrote.

    Raises:
        CheckpointError: the file is missing, damaged, too large, holds code, or holds no tensors.
    """
    _require_file(path)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise CheckpointError(
            f"{path} has {size / 1e9:.3g} GB and is refused; files up to {MAX_BYTES / 1e9:.3g} GB "
            "are read. Save the state_dict alone, without the optimizer."
        )
    with path.open("rb") as file:
        head = file.read(9)
    if path.suffix == ".safetensors" or head[8:] == b"{":
        checkpoint = _safetensors(path)
    else:
        checkpoint = Checkpoint(_named_tensors(torch_file(path)))
    if not checkpoint.tensors:
        raise CheckpointError(f"{path} holds no tensors; give a file with a model's state_dict.")
    for name, tensor in checkpoint.tensors.items():
        if (
            tensor.layout != torch.strided
            or tensor.is_complex()
            or tensor.is_quantized
            or tensor.is_meta
        ):
            raise CheckpointError(
                f"{path} holds {shown(name, 80)} in a form that is not read (sparse, quantized and "
                "complex tensors are not); save the model's plain state_dict."
            )
    require_finite(checkpoint.tensors, path)
    return checkpoint


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, wrappers and prefixes taken off.

    Raises:
        CheckpointError: the file is missing, damaged, too large, holds code, or holds no tensors.
    """
    return read_checkpoint(path).tensors


def load_resume_state(path: Path) -> dict[str, Any]:
    """Read a resume state.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    state = torch_file(path)
    if "step" not in state or "optimizer" not in state:
        raise CheckpointError(f"{path} holds no resume state; give a run's resume.pt.")
    return state


def torch_file(path: Path) -> dict[str, Any]:
    """Read a file of ``torch.save`` without running code.

    Raises:
        CheckpointError: the file is missing, damaged, holds code, or holds no mapping.
    """
    _require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            content = torch.load(str(path), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        message = str(error)
        refused = isinstance(error, pickle.UnpicklingError) and any(
            words in message for words in REFUSALS
        )
        if refused or "TorchScript" in message:
            raise CheckpointError(
                f"{path} holds more than tensors and is refused: loading it could run code; "
                "save the model's state_dict and load that."
            ) from None
        raise CheckpointError(f"{path} is damaged or not a PyTorch file.") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no state_dict; save model.state_dict() and load that.")
    return dict(content)


def require_finite(tensors: Mapping[str, Tensor], what: object) -> None:
    """Refuse weights that are not finite numbers, or not any more in float32.

    Args:
        what: how the sentence calls the file.

    Raises:
        CheckpointError: a value is infinite or NaN; names the first tensor, and how many.
    """
    counts = {
        name: count
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and (count := int((~tensor.float().isfinite()).sum()))
    }
    if counts:
        first, count = next(iter(counts.items()))
        raise CheckpointError(
            f"{what} holds values that are not finite (NaN or infinite), in {len(counts)} of "
            f"{len(tensors)} tensors; the first is {shown(first, 80)} with {count:,} of "
            f"{tensors[first].numel():,}; take an earlier checkpoint of that training."
        )


def bare(name: str) -> str:
    """A tensor's name without what DataParallel and ``torch.compile`` put before it."""
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model's parameters and buffers as safetensors, all or nothing."""
    tensors = {
        name: on_host(value.detach()).contiguous() for name, value in model.state_dict().items()
    }

    def write(part: Path) -> None:
        try:
            safetensors.torch.save_file(tensors, part, metadata=dict(metadata))
        except safetensors.SafetensorError as error:  # it hides what the disk said
            if (code := re.search(r"os error (\d+)", str(error))) is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from None

    _atomically(path, write)


def save_resume_state(state: dict[str, Any], path: Path) -> None:
    """Write what a run needs to continue exactly, on whatever device, all or nothing."""

    def write(part: Path) -> None:
        with part.open("wb") as file:  # of a path, torch hides what the disk said
            torch.save(_all_on_host(state), file)

    _atomically(path, write)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}; check the path.")
    if not os.access(path, os.R_OK):
        raise CheckpointError(f"{path} cannot be read; check its permissions.")


def _safetensors(path: Path) -> Checkpoint:
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
        tensors = safetensors.torch.load_file(path)
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({shown(error, 200)})."
        ) from None
    return Checkpoint({bare(name): tensor for name, tensor in tensors.items()}, metadata)


def _named_tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of the state_dict, which may lie a few wrappers deep."""
    for _ in range(3):
        inner = next((content[w] for w in WRAPPERS if isinstance(content.get(w), Mapping)), None)
        if inner is None:
            break
        content = inner
    return {
        bare(name): value.detach()
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _all_on_host(content: Any) -> Any:
    """The same content of mappings, lists and tuples, its tensors on the CPU."""
    if isinstance(content, Tensor):
        return on_host(content)
    if isinstance(content, Mapping):
        return {name: _all_on_host(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        kind = list if isinstance(content, list) else tuple
        return kind(_all_on_host(value) for value in content)
    return content


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target, flush to disk, then rename: readers see the old file or the new.

    Raises:
        OSError: the disk has no room, or does not let itself be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        write(part)
        os.fsync(handle)
        part.chmod(0o644)
        part.replace(path)
    finally:
        os.close(handle)
        part.unlink(missing_ok=True)
