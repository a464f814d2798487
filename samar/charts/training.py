"""How curves of runs are looked at, and one of them for plotly."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from samar.charts.smoothing import Floats, thin

X_TITLES = {"step": "step", "grad_evals": "gradient evaluations", "seconds": "training time (s)"}
SMOOTHING_POINTS = 1000
"""A smoothed curve has this many points; smoothing counts in them once a run has more steps."""


@dataclass(frozen=True)
class View:
    """How curves are looked at.

    Attributes:
        x: Quantity on the x axis, a key of :data:`X_TITLES`. SAM's family takes two gradients a
            step, so only gradient evaluations and seconds compare it fairly with SGD.
        log: Logarithmic y axis for loss and sharpness.
        smoothing: Weight of the moving average in [0, 1), per step up to 1,000 steps and per
            thousandth of the chart beyond, so that it looks the same at any length of the run; 0
            draws the raw curve alone.
    """

    x: str = "step"
    log: bool = False
    smoothing: float = 0.0


def curve(
    x: Floats,
    y: Floats,
    name: str,
    hover: str,
    line: dict[str, Any],
    marker: dict[str, Any] | None = None,
    points: int = 2000,
    **options: Any,
) -> list[dict[str, Any]]:
    """A curve in float32, which a screen cannot tell from float64; none if nothing is finite.

    Without a marker of its own a curve shows its points only while they are few (single steps).
    """
    x, y = thin(x, y, points)
    if y.size == 0:
        return []
    curve = {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "name": name,
        "mode": "lines+markers" if marker or y.size <= 30 else "lines",
        "line": line,
        "marker": marker or {"size": 4},
        "cliponaxis": marker is None,
        "hovertemplate": hover,
    }
    return [curve | options]
