"""Records as tables, and back without a bit lost."""

from collections.abc import Sequence
from typing import IO

import numpy as np
import pandas as pd

from samar.errors import DataError
from samar.jobs.records import Columns

WHOLE = ("step", "epoch", "grad_evals", "train_images")
LATER = ("val_loss", "val_accuracy")
"""Columns that older versions did not write; NaN stands for them."""


def table(columns: Columns) -> pd.DataFrame:
    """Columns as a data frame; counts as whole numbers."""
    frame = pd.DataFrame(columns)
    return frame.astype({name: "int64" for name in WHOLE if name in frame})


def read_table(source: IO[bytes], names: Sequence[str], what: str) -> Columns:
    """Columns from the CSV of a :func:`table`, the same float64 bit for bit.

    Raises:
        DataError: columns are missing or unknown, something is no number, or steps do not ascend.
    """
    try:
        frame = pd.read_csv(source, dtype=object, keep_default_na=False).replace("", "nan")
    except ValueError as error:  # pandas' and Unicode's own are of this kind
        raise DataError(f"{what} is no readable table ({error}); export the run again.") from None
    for name in LATER:
        if name in names and name not in frame:
            frame[name] = "nan"
    if set(frame) != set(names):
        odd = sorted(set(frame) ^ set(names))[:3]
        raise DataError(f"{what} lacks, or has too many, columns: {', '.join(odd)}.")
    try:
        columns = {name: frame[name].to_numpy().astype(np.float64) for name in names}
    except (ValueError, TypeError):
        raise DataError(f"{what} holds something that is not a number.") from None
    counts = np.stack([columns[name] for name in WHOLE if name in columns])
    if counts.size and not (np.isfinite(counts).all() and (counts == counts.round()).all()):
        raise DataError(f"{what} holds a step or epoch that is no whole number.")
    keys = columns[names[0]]
    if counts.size and (keys[0] < 1 or (np.diff(keys) <= 0).any()):
        raise DataError(f"{what} holds steps that do not ascend from 1.")
    return columns
