"""Arrays and a text as JSON in one NumPy archive."""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np


def write_npz(target: str | Path | BinaryIO, arrays: Mapping[str, Any], text: Any) -> None:
    """Write arrays by their names, and plain values as the JSON ``text``."""
    content = io.BytesIO()
    np.savez_compressed(content, **{**arrays, "text": np.array(json.dumps(text))})
    if isinstance(target, str | Path):
        Path(target).write_bytes(content.getvalue())
    else:
        target.write(content.getvalue())


def read_npz(source: Path | BinaryIO) -> tuple[dict[str, Any], Any]:
    """The arrays and the plain values that :func:`write_npz` wrote; nothing in it is executed.

    Raises:
        OSError, ValueError, KeyError, EOFError: the file is missing or something else.
    """
    opened = source.open("rb") if isinstance(source, Path) else nullcontext(source)
    try:
        with opened as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"the file is damaged: {error}") from None
    return arrays, json.loads(str(arrays.pop("text")))
