"""Lines through a landscape's centre."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.overlays import float32
from samar.charts.landscape.scale import Look, quantity_of
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, panel
from samar.landscape.grid import Floats
from samar.landscape.result import Landscape

LINES = (("#0072B2", "solid", "circle"), ("#D55E00", "dash", "square"))
"""First and second network, or first and second direction of one."""


def slices_figure(
    named: Sequence[tuple[str, Landscape]], look: Look, optimizers: Sequence[str] = ()
) -> go.Figure:
    """Lines through the centre: both directions of one plane, or the first of two; or a line.

    Args:
        optimizers: what two runs were trained with; their colours are used if they differ.
    """
    if len(named) == 1 and named[0][1].is_plane:
        _, landscape = named[0]
        curves = [
            (f"along direction {i + 1}", axis, values)
            for i, (axis, values) in enumerate(_slices(landscape, look.quantity))
        ]
        x_title = "distance from the network along the direction"
    else:
        curves = [(title, *_slices(each, look.quantity)[0]) for title, each in named]
        x_title = named[0][1].manifest.get("labels", ["direction 1"])[0]
    traces: list[dict[str, Any]] = []
    styles = [OPTIMIZER_STYLES[name] for name in optimizers if name in OPTIMIZER_STYLES]
    own = [(style.color, style.dash, style.symbol) for style in styles]
    for (name, x, y), (color, dash, symbol) in zip(
        curves, own if len(set(own)) == len(curves) > 1 else LINES, strict=False
    ):
        traces.append(
            {
                "type": "scatter",
                "x": float32(x),
                "y": float32(y),
                "name": name,
                "mode": "lines+markers",
                "line": {"color": color, "dash": dash, "width": 2},
                "marker": {"symbol": symbol, "size": 6},
                "hovertemplate": "%{y:.4~g}",
            }
        )
    if len(named) == 1 and np.isfinite(barrier := _barrier(named[0][1])):
        traces.append(_chord(named[0][1], look))
        heading = f"Slice · barrier {barrier:.4g}"
    else:
        heading = "Slices through the centre" if named[0][1].is_plane else "Slice"
    log = look.logarithmic
    return panel(
        traces,
        [],
        title=heading,
        alt=f"{heading}: {look.title} over {x_title}.",
        x_axis={"title": x_title},
        y_axis={"title": look.title, "type": "log" if log else "linear", "nticks": 6},
        empty="",
    )


def _slices(landscape: Landscape, quantity: str) -> list[tuple[Floats, Floats]]:
    values = quantity_of(landscape, quantity)
    if not landscape.is_plane:
        return [(landscape.axes[0], values)]
    column, row = (int(np.argmin(np.abs(axis))) for axis in landscape.axes)
    return [(landscape.axes[0], values[row]), (landscape.axes[1], values[:, column])]


def _barrier(landscape: Landscape) -> float:
    between = landscape.manifest.get("directions") == "between" and not landscape.is_plane
    return landscape.barrier if between else float("nan")


def _chord(landscape: Landscape, look: Look) -> dict[str, Any]:
    alpha, values = landscape.axes[0], quantity_of(landscape, look.quantity)
    inside = (alpha >= 0) & (alpha <= 1)
    along = alpha[inside]
    y = (1 - along) * values[inside][0] + along * values[inside][-1]
    line = {"color": NEUTRAL, "dash": "dot", "width": 1.5}
    straight = {"type": "scatter", "x": float32(along), "y": float32(y), "name": "chord"}
    return straight | {"mode": "lines", "line": line, "hovertemplate": "%{y:.4~g}"}
