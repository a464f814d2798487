"""The paths as a table that any tool reads."""

import csv
import io
from collections.abc import Mapping

import numpy as np

from samar.playground.descent import Path

VECTORS = ("gradient", "perturbation", "perturbed_gradient", "direction")
COLUMNS = [
    *("optimizer", "step", "x", "y", "loss"),
    *(f"{name}_{axis}" for name in VECTORS for axis in "xy"),
    *("perturbed_loss", "sharpness", "lam", "ratio"),
]


def to_csv(paths: Mapping[str, Path]) -> str:
    """One row per optimizer and step; what belongs to a step is empty in the last row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, path in paths.items():
        of_steps = np.column_stack(
            [
                path.gradients,
                path.perturbations,
                path.perturbed_gradients,
                path.directions,
                path.perturbed_loss,
                path.sharpness,
                path.lam,
                path.ratio,
            ]
        )
        for step, (position, loss) in enumerate(zip(path.positions, path.loss, strict=True)):
            rest = of_steps[step] if step < path.steps else np.full(of_steps.shape[1], np.nan)
            numbers = [float(v) for v in (*position, loss, *rest)]
            writer.writerow([name, step, *("" if np.isnan(v) else repr(v) for v in numbers)])
    return text.getvalue()
