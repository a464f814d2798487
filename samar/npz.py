"""Arrays and a text as JSON in one NumPy archive."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def write_npz(target: Path | BinaryIO, arrays: Mapping[str, Any], text: Any) -> None:
    """Write arrays by their names, and plain values as the JSON ``text``."""
    content = io.BytesIO()
    np.savez_compressed(content, **{**arrays, "text": np.array(json.dumps(text))})
    if isinstance(target, Path):
        target.write_bytes(content.getvalue())
    else:
        target.write(content.getvalue())


def read_npz(source: Path | BinaryIO) -> tuple[dict[str, Any], Any]:
    """The arrays and the plain values that :func:`write_npz` wrote; nothing in it is executed.

    Raises:
        OSError, ValueError, KeyError, EOFError: the file is missing or something else.
    """
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads(str(arrays.pop("text")))
