"""Weights and resume state on disk: written atomically, read without running code.

Weights are safetensors with string metadata. The resume state is a PyTorch file that loads with
``weights_only=True``. Foreign checkpoints are read by :mod:`samar.networks.reading`.
"""

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.device.waiting import on_host
from samar.errors import CheckpointError
from samar.networks.reading import read_checkpoint, torch_file


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


def load_resume_state(path: Path) -> dict[str, Any]:
    """Read a resume state.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    state = torch_file(path)
    if "step" not in state or "optimizer" not in state:
        raise CheckpointError(f"{path} holds no resume state; give a run's resume.pt.")
    return state


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, wrappers and prefixes taken off.

    Raises:
        CheckpointError: the file is missing, damaged, too large, holds code, or holds no tensors.
    """
    return read_checkpoint(path).tensors


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
