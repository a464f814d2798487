"""What the lessons' figures share: a panel that moves, and axes that stand still while it does."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.smoothing import Floats
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, panel


def line(
    x: Floats, y: Floats, name: str, optimizer: str | None = None, **options: Any
) -> dict[str, Any]:
    """A curve in an optimizer's colour and dash, or in grey.

    Args:
        x, y: (n,); values that are not finite leave a gap.
    """
    style = OPTIMIZER_STYLES.get(optimizer or "")
    look: dict[str, Any] = {
        "color": style.color if style else NEUTRAL,
        "dash": style.dash if style else "longdash",
        "width": 2.5 if style else 1.5,
    }
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "name": name,
        "line": look,
        "hovertemplate": "%{y:.4~g}",
    }
    return trace | options


def moving(figure: go.Figure, last: int, label: str, grow: Sequence[int]) -> go.Figure:
    """Let traces grow point by point, over axes that show the whole from the start.

    Args:
        figure: changed and returned.
        last: the last moment; a trace in ``grow`` then shows ``last + 1`` points.
        label: what a moment is, such as ``epoch``.
        grow: numbers of the traces that grow.
    """
    return film(figure, {"last": last, "label": label, "grow": list(grow)})


def film(figure: go.Figure, spec: Mapping[str, Any]) -> go.Figure:
    """Say what moves (see ``assets/plotly_clock.js``), and hold the axes."""
    figure.layout.meta = {**(figure.layout.meta or {}), "film": dict(spec)}
    for axis, name in ((figure.layout.xaxis, "x"), (figure.layout.yaxis, "y")):
        if axis.range is None:
            logarithmic = axis.type == "log"
            axis.range = _range([trace[name] for trace in figure.data], logarithmic)
    return figure


def words_panel(
    traces: Sequence[dict[str, Any]],
    *,
    title: str,
    alt: str,
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    shapes: Sequence[dict[str, Any]] = (),
) -> go.Figure:
    """A panel of the common look."""
    return panel(
        traces, shapes, title=title, alt=alt, x_axis=dict(x), y_axis=dict(y), empty="No data."
    )


def _range(arrays: Sequence[Any], logarithmic: bool) -> list[float]:
    values = np.concatenate([np.asarray(array, dtype=float).ravel() for array in arrays])
    values = values[np.isfinite(values) & ((values > 0) | (not logarithmic))]
    if not values.size:
        return [0.0, 1.0]
    if logarithmic:
        values = np.log10(values)
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * max(high - low, 1e-6)
    return [low - margin, high + margin]
