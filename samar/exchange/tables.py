"""Records as tables, and back without a bit lost."""

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pandas as pd

from samar.errors import DataError
from samar.jobs.records import Columns
from samar.plain_text import shown

WHOLE = ("step", "epoch", "grad_evals", "train_images")
LATER = ("val_loss", "val_accuracy")
"""Columns that older versions did not write; NaN stands for them."""
BLOCK = 4 << 20
"""Bytes that are read at once."""
MOST_HEADER = 10_000
MOST_ROWS = 5_000_000


def table(columns: Columns) -> pd.DataFrame:
    """Columns as a data frame; counts as whole numbers."""
    frame = pd.DataFrame(columns)
    return frame.astype({name: "int64" for name in WHOLE if name in frame})


def read_table(source: IO[bytes], names: Sequence[str], what: str) -> Iterator[Columns]:
    """Columns from the CSV of a :func:`table`, some rows at a time, the same float64 bit for bit.

    Raises:
        DataError: columns are missing or unknown, something is no number, or steps do not ascend.
    """
    given = _header(source.readline(MOST_HEADER), names, what)
    first = 0 if names[0] == "epoch" else 1  # epoch 0: before any step
    last, count, rest = first - 1.0, 0, b""
    while piece := source.read(BLOCK):
        block, end, rest = (rest + piece).rpartition(b"\n")
        if not end and len(rest) > BLOCK:
            raise DataError(f"{what} holds an endless line and is refused.")
        if end:
            found = _block(block + end, given, names, what)
            last, count = _ascending(found, names, last, count, what)
            yield found
    if rest:
        found = _block(rest + b"\n", given, names, what)
        _ascending(found, names, last, count, what)
        yield found


def _header(line: bytes, names: Sequence[str], what: str) -> list[str]:
    """The names of the columns; nothing else is read of a table that has others."""
    try:
        given = line.decode().rstrip("\r\n").split(",")
    except UnicodeDecodeError as error:
        raise DataError(f"{what} is no readable table ({error}); export the run again.") from None
    odd = sorted(set(given) ^ set(names) - {name for name in LATER if name not in given})
    if odd or len(given) > len(names):
        some = shown(", ".join(odd[:3]), 80) or "one of them twice"
        raise DataError(f"{what} lacks, or has too many, columns: {some}.")
    return given


def _block(block: bytes, given: Sequence[str], names: Sequence[str], what: str) -> Columns:
    """The columns of whole lines, which older versions ended as the system does."""
    block = block.replace(b"\r\n", b"\n")
    marks = np.frombuffer(block, np.uint8)
    marks = marks[(marks == ord(",")) | (marks == ord("\n"))]
    ends = np.flatnonzero(marks == ord("\n"))
    if (np.diff(ends, prepend=-1) != len(given)).any():
        raise DataError(f"{what} holds a row with more or fewer values than it has columns.")
    fields = block.replace(b"\n", b",").split(b",")[:-1]
    try:
        values = np.array([float(field) if field else np.nan for field in fields])
    except ValueError:
        raise DataError(f"{what} holds something that is not a number.") from None
    table = values.reshape(len(ends), len(given))
    unknown = np.full(len(ends), np.nan)
    columns = {n: table[:, given.index(n)] if n in given else unknown for n in names}
    counts = np.stack([columns[name] for name in WHOLE if name in columns])
    if not ((counts == np.floor(counts)) & (counts >= 0) & (counts < 2**53)).all():
        raise DataError(f"{what} holds a step or epoch that is no whole number.")
    return columns


def _ascending(
    found: Columns, names: Sequence[str], last: float, count: int, what: str
) -> tuple[float, int]:
    """The last step of some rows, and how many rows there were until then."""
    keys = found[names[0]]
    if (np.diff(keys, prepend=last) <= 0).any():
        raise DataError(f"{what} holds steps that do not ascend from 1.")
    if (count := count + len(keys)) > MOST_ROWS:
        raise DataError(f"{what} holds more than {MOST_ROWS:,} rows and is refused.")
    return float(keys[-1]), count
