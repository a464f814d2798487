"""Reading a file of weights from anywhere: no code runs, and no claim in it takes memory.

Formats are told by their first bytes, not by their name: safetensors, PyTorch's zip archive, and
PyTorch's older pickle. A pickle is read with ``weights_only=True``, so one that carries code is
refused and never run. Sizes are checked before anything is read: the file's own, what a zip archive
says it unpacks to, how long its pickle is, and what every tensor says it holds. Storages of a zip
archive are mapped from the file, so that a tensor cannot reach beyond it. Every member of a zip
archive is compared with its checksum, which PyTorch does not do; the other two formats have none.
Tensors of other kinds than numbers here are made of are refused, and so are numbers that are not
finite.
"""

import pickle
import pickletools
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError
from samar.plain_text import shown

MAX_BYTES = 2_000_000_000
"""Largest weights file that is read."""

MOST_TENSORS = 20_000
MOST_NAME = 200
"""Characters in the name of a tensor."""
MOST_HEADER = 16_000_000
"""Bytes of the header of a safetensors file, and of the directory of a zip archive."""
MOST_OPERATIONS = 300_000
"""Operations of a pickle; a network takes about ten for each of its tensors."""
WHOLE = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

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
        found = _safetensors(path, head)
    else:
        found = Checkpoint(_named_tensors(torch_file(path, mapped=True)), ordered=True)
    if not found.tensors:
        raise CheckpointError(f"{path} holds no tensors; give a file with a model's state_dict.")
    _check_tensors(path, found.tensors)
    require_finite(found.tensors, path)
    if found.ordered:  # they must not change with the file, from which they are mapped
        return replace(found, tensors={k: v.detach().clone() for k, v in found.tensors.items()})
    return found


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
            f"{len(tensors)} tensors; the first is {shown(first, MOST_NAME)} with {count:,} of "
            f"{tensors[first].numel():,}; take an earlier checkpoint of that training."
        )


def _check_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Names, kinds and claimed sizes, before any of it is copied."""
    if len(tensors) > MOST_TENSORS:
        raise CheckpointError(
            f"{path} holds {len(tensors):,} tensors and is refused; up to {MOST_TENSORS:,} are "
            "read."
        )
    largest = path.stat().st_size
    total = 0
    for name, tensor in tensors.items():
        if len(name) > MOST_NAME or not name.isprintable():
            raise CheckpointError(
                f"{path} holds a tensor whose name has {len(name):,} characters or hidden ones "
                f"({shown(name, 40)!r}); save the state_dict of a torch.nn.Module."
            )
        plain = type(tensor) in (Tensor, nn.Parameter) and not tensor.is_nested
        if (
            not plain
            or tensor.layout != torch.strided
            or not _is_read(tensor.dtype)
            or tensor.device.type != "cpu"
        ):
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{path} holds {name} in a form that is not read ({kind}; sparse, quantized, "
                "complex and float8 are not); save the model's plain state_dict."
            )
        claimed = tensor.numel() * tensor.element_size()
        total += claimed
        if claimed > largest or total > 2 * largest:  # two tensors may share their weights
            raise CheckpointError(
                f"{path} is refused: it claims {total / 1e9:.3g} GB in {name} and is only "
                f"{largest / 1e6:.3g} MB long; save the state_dict anew."
            )


def _is_read(dtype: torch.dtype) -> bool:
    """Whether weights may be such numbers: whole ones, or floating ones of at least two bytes."""
    return dtype in WHOLE or (dtype.is_floating_point and dtype.itemsize >= 2)


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
    elif head.startswith(PICKLE):
        _check_pickles(path)
    else:
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


def _safetensors(path: Path, head: bytes) -> Checkpoint:
    unreadable = f"{path} is not a readable safetensors file"
    if len(head) < 8 or struct.unpack("<Q", head[:8])[0] > MOST_HEADER:
        raise CheckpointError(f"{unreadable} (its header is too long or cut off).")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = dict(file.metadata() or {})
            count = len(file.keys())
        if count > MOST_TENSORS:
            raise ValueError(f"it holds {count:,} tensors; up to {MOST_TENSORS:,} are read")
        tensors = safetensors.torch.load_file(path)
    except Exception as error:  # whatever a damaged file makes the reader stumble over
        raise CheckpointError(f"{unreadable} ({shown(error, 200)}).") from None
    return Checkpoint({bare(k): v for k, v in tensors.items()}, ordered=False, metadata=metadata)


def _check_archive(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is, or does not have its checksums.

    ``torch.save`` never compresses.
    """
    damaged = f"{path} is damaged or not a PyTorch file"
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if end and end[zipfile._ECD_SIZE] > MOST_HEADER:  # type: ignore[attr-defined]
            raise CheckpointError(f"{damaged}: it lists too many files; save the state_dict anew.")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > size:
                raise CheckpointError(
                    f"{path} is refused: it unpacks to {unpacked / 1e9:.3g} GB, more than it "
                    "holds; give the file as torch.save wrote it."
                )
            wrong = archive.testzip()
            if wrong is not None:
                raise CheckpointError(
                    f"{path} is damaged: {shown(wrong, 80)} in it does not have its checksum; "
                    "copy or download the file again."
                )
            for entry in entries:
                if entry.filename.endswith("data.pkl"):
                    with archive.open(entry) as pickled:
                        _count_operations(path, pickled, 1)
    except CheckpointError:
        raise
    except Exception:  # whatever a damaged file makes the reader stumble over
        raise CheckpointError(f"{damaged}.") from None


def _check_pickles(path: Path) -> None:
    """The same of a file in the older format: five pickles, then the numbers."""
    with path.open("rb") as file:
        try:
            _count_operations(path, file, 5)
        except CheckpointError:
            raise
        except Exception:  # the reader itself says more exactly what is wrong
            return


def _count_operations(path: Path, file: IO[bytes], pickles: int) -> None:
    """Refuse pickles so long that reading them takes minutes or gigabytes."""
    count = 0
    for _ in range(pickles):
        for operation, argument, _place in pickletools.genops(file):
            count += 1
            # PyTorch's reader lets a pickle ask for as many zeros as it likes.
            claims = operation.name == "GLOBAL" and str(argument).endswith(" bytearray")
            if claims or count > MOST_OPERATIONS:
                raise CheckpointError(
                    f"{path} is refused: it holds far more than a network's tensors; save the "
                    "model's state_dict alone."
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
