"""One look for every figure: colours and dashes of the optimizers, the frame of a panel.

Colours come from Okabe and Ito's palette (jfly.uni-koeln.de/color): the four of it that reach a
contrast of at least 3 to 1 on the light and on the dark background. Nothing is told by colour
alone: optimizers also differ in dash and marker, training and test set in marker and name. Neutral
colours (paper, type, grid) are left open here; the browser fills them in from Streamlit's theme.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from samar.optim.catalog import OPTIMIZERS

NEUTRAL = "#808080"
"""Grey that can be told from both backgrounds: the training set's curves, bands."""


@dataclass(frozen=True)
class OptimizerStyle:
    """How an optimizer looks in every figure."""

    title: str
    color: str
    dash: str
    symbol: str


OPTIMIZER_STYLES = {
    name: OptimizerStyle(info.title, info.color, info.dash, info.symbol)
    for name, info in OPTIMIZERS.items()
}


def panel(
    traces: Sequence[dict[str, Any]],
    shapes: Sequence[dict[str, Any]] = (),
    *,
    title: str,
    alt: str,
    x_axis: dict[str, Any],
    y_axis: dict[str, Any],
    empty: str = "No data.",
) -> go.Figure:
    """A chart whose curves share one hover label at an x.

    A zoom is kept until its axis changes its meaning (title or scale).

    Args:
        traces: Curves, as plotly traces.
        shapes: Bounds, bands and marks, as plotly shapes.
        title: What is shown.
        alt: The chart in words, for readers who cannot see it; travels in ``layout.meta``.
        x_axis: Plotly axis with a ``title``.
        y_axis: Plotly axis with a ``title``.
        empty: Shown instead if there is no curve.
    """
    whole = {"minorloglabels": "complete"}  # of 20 not the 2 alone, which stood above the 10
    layout: dict[str, Any] = {
        "template": "none",
        "meta": {"alt": alt if traces else f"{alt} {empty}"},
        "title": {"text": f"<b>{title}</b>", "y": 1, "yanchor": "top", "pad": {"t": 6}},
        "xaxis": {"uirevision": x_axis["title"], **whole, **x_axis},
        "yaxis": {"uirevision": y_axis.get("type", "linear"), **whole, **y_axis},
        "hovermode": "x unified",
        "margin": {"l": 56, "r": 12, "t": 52, "b": 8},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
    }
    if traces:
        return go.Figure(data=traces, layout=layout | {"shapes": shapes})
    bare = {"showgrid": False, "showticklabels": False, "zeroline": False}
    note = {"text": empty, "showarrow": False, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    return go.Figure(layout=layout | {"xaxis": bare, "yaxis": bare, "annotations": [note]})
