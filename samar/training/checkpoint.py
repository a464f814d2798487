"""Weights and resume state on disk: written atomically, read without running code.

Weights are safetensors with string metadata. The resume state is a PyTorch file that loads with
``weights_only=True``. Foreign checkpoints (``.pt``, ``.pth``, ``.th``) are read the same way, so
that a pickle that carries code is refused and never run.
"""

import os
import pickle
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError

WRAPPERS = ("state_dict", "model", "model_state_dict")
PREFIXES = ("module.", "_orig_mod.")
COUNTER = "num_batches_tracked"
# A zip archive, or a pickle of protocol 2 or newer.
MAGIC = (b"PK\x03\x04", b"\x80")


def save_weights(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a model's parameters and buffers as safetensors, all or nothing."""
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    _atomically(
        path, lambda part: safetensors.torch.save_file(tensors, part, metadata=dict(metadata))
    )


def save_resume_state(state: dict[str, Any], path: Path) -> None:
    """Write what a run needs to continue exactly, all or nothing."""
    _atomically(path, lambda part: torch.save(state, part))


def load_resume_state(path: Path) -> dict[str, Any]:
    """Read a resume state.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    state = _torch_file(path)
    if "step" not in state or "optimizer" not in state:
        raise CheckpointError(f"{path} holds no resume state; give a run's resume.pt.")
    return state


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, wrappers and prefixes taken off.

    Raises:
        CheckpointError: the file is missing, damaged, holds code, or holds no tensors.
    """
    if path.suffix == ".safetensors":
        _require_file(path)
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{path} is not a readable safetensors file ({error}).") from None
    content = _torch_file(path)
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    tensors = {_bare(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors; give a file with a model's state_dict.")
    return tensors


def load_into(model: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Load every tensor into the model; names and shapes must match exactly.

    Raises:
        CheckpointError: naming the first tensors that do not fit.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in tensors and not key.endswith(COUNTER)]
    extra = [key for key in tensors if key not in own and not key.endswith(COUNTER)]
    wrong = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in tensors and tensors[key].shape != own[key].shape
    ]
    problems = [
        f"{kind}: {', '.join(keys[:3])}" + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
        for kind, keys in (("missing", missing), ("not in the model", extra), ("shape", wrong))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"The checkpoint does not fit {name} ({'; '.join(problems)}); choose the model and "
            "data set it was trained with."
        )
    model.load_state_dict(dict(tensors), strict=False)


def _bare(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint file at {path}; check the path.")


def _torch_file(path: Path) -> dict[str, Any]:
    _require_file(path)
    with path.open("rb") as file:
        if not file.read(4).startswith(MAGIC):
            raise CheckpointError(f"{path} is damaged or not a PyTorch file.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise CheckpointError(
                f"{path} holds more than tensors and is refused: loading it could run code; "
                "save the model's state_dict and load that."
            ) from None
        raise CheckpointError(f"{path} is damaged or not a PyTorch file.") from None
    except (RuntimeError, EOFError, ValueError, OSError, KeyError):
        raise CheckpointError(f"{path} is damaged or not a PyTorch file.") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds no state_dict; save model.state_dict() and load that.")
    return dict(content)


def _atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target, flush to disk, then rename: readers see the old file or the new."""
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
