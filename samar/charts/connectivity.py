"""Paths between two networks: loss and accuracy along them, their barriers, and the plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.figures import PATH_NAME, contour_figure
from samar.charts.landscape.scale import CROSS_ENTROPY, Scale, float32
from samar.charts.theme import NEUTRAL, panel
from samar.connectivity.catalog import CURVES, SPLIT_TITLES
from samar.connectivity.result import Connection, Path
from samar.landscapes.result import Landscape

COLORS = {"line": "#0072B2", "bezier": "#D55E00", "chain": "#009E73"}
DASHES = {False: "solid", True: "dash"}
SYMBOLS = {False: "circle", True: "square-open"}
PLACE = "place on the path (0 first network, 1 second)"
TRAINING_POINTS = 300
BELOW: dict[str, Any] = {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top"}
"""A legend of several rows, which would cover a title."""


def paths_figure(found: Connection, split: str, quantity: str) -> go.Figure:
    """Loss or accuracy along every path, with standard errors over images.

    Args:
        split: ``train`` or ``test``.
        quantity: ``loss`` or ``accuracy``.
    """
    traces: list[dict[str, Any]] = []
    share = 100.0 if quantity == "accuracy" else 1.0
    for path in found.paths:
        along = path.along[split]
        values = share * getattr(along, quantity)
        errors = share * getattr(along, f"{quantity}_error")
        traces.append(
            {
                "type": "scatter",
                "x": float32(path.t),
                "y": float32(values),
                "error_y": {"array": float32(errors), "thickness": 1, "width": 0},
                "name": path.title,
                "mode": "lines+markers",
                "line": {"color": COLORS[path.curve], "dash": DASHES[path.aligned], "width": 2},
                "marker": {"symbol": SYMBOLS[path.aligned], "size": 6},
                "customdata": float32(errors),
                "hovertemplate": "%{y:.4~g} ± %{customdata:.2~g}",
            }
        )
    if found.paths:
        ends = share * getattr(found.paths[0].along[split], quantity)[[0, -1]]
        line = {"color": NEUTRAL, "dash": "dot", "width": 1.5}
        straight = {"type": "scatter", "x": [0, 1], "y": float32(ends), "name": "between the ends"}
        traces.append(straight | {"mode": "lines", "line": line, "hoverinfo": "skip"})
    title = "Loss" if quantity == "loss" else "Accuracy"
    unit = CROSS_ENTROPY if quantity == "loss" else "correct (%)"
    return panel(
        traces,
        [],
        title=f"{title} along the paths, {SPLIT_TITLES[split]}",
        alt=f"{title} along {len(found.paths)} paths between two networks: {unit} over {PLACE}.",
        x_axis={"title": PLACE},
        y_axis={
            "title": unit,
            "nticks": 6,
            "rangemode": "tozero" if quantity == "loss" else "normal",
        },
        empty="Nothing is measured yet.",
    ).update_layout(legend=BELOW)


def pairs_figure(groups: Mapping[str, Any], images: str) -> go.Figure:
    """The barriers on the straight lines between several pairs of networks, a mark for each pair.

    Args:
        groups: what pairs have in common, with their barriers (pair, as it is / aligned).
        images: what they were measured on, in words.
    """
    traces: list[dict[str, Any]] = []
    for aligned, color in ((False, COLORS["line"]), (True, COLORS["bezier"])):
        x, y, names = [], [], []
        for place, (title, barriers) in enumerate(groups.items()):
            values = np.asarray(barriers)[:, int(aligned)]
            x += [place + (0.15 if aligned else -0.15)] * len(values)
            y += values.tolist()
            names += [title] * len(values)
        traces.append(
            {
                "type": "scatter",
                "x": x,
                "y": float32(y),
                "text": names,
                "name": "second network aligned" if aligned else "second network as it is",
                "mode": "markers",
                "cliponaxis": False,
                "marker": {"symbol": SYMBOLS[aligned], "size": 11, "color": color}
                | {"line": {"color": color, "width": 2}},
                "hovertemplate": "%{text}: %{y:.3~g}",
            }
        )
    means = "; ".join(
        f"{title} {np.mean(each[:, 0]):.2f}, aligned {np.mean(each[:, 1]):.2f}"
        for title, each in groups.items()
    )
    figure = panel(
        traces,
        [],
        title=f"Barriers on the straight lines, {images}",
        alt=f"Mean barriers: {means}.",
        x_axis={
            "tickvals": list(range(len(groups))),
            "ticktext": [_in_rows(title) for title in groups],
            "tickangle": 0,
            "title": "",
            "range": [-0.5, len(groups) - 0.5],
        },
        y_axis={"title": f"barrier, {CROSS_ENTROPY}", "rangemode": "tozero", "nticks": 6},
    )
    return figure.update_layout(hovermode="closest", legend=BELOW | {"y": -0.3})


def _in_rows(title: str) -> str:
    return title.replace(", ", "<br>").replace(" and ", " and<br>")


def plane_figure(landscape: Landscape, scale: Scale, title: str) -> go.Figure:
    """The plane through both networks and the bend from above, with the curve on it."""
    figure = contour_figure(landscape, scale, title)
    figure.update_traces(marker={"size": 5}, selector={"name": PATH_NAME})
    x, y = landscape.manifest["bend"]
    marks = {"first": (0.0, 0.0), "second": (1.0, 0.0), "bend": (x, y)}
    places = np.array(list(marks.values()))
    figure.add_trace(
        {
            "type": "scatter",
            "x": float32(places[:, 0]),
            "y": float32(places[:, 1]),
            "text": list(marks),
            "mode": "markers+text",
            "textposition": ["bottom center", "bottom center", "top center"],
            "textfont": {"color": "#FFFFFF", "size": 14},
            "marker": {"color": "#FFFFFF", "size": 11, "symbol": ["diamond", "square", "x"]}
            | {"line": {"color": "#000000", "width": 1}},
            "name": "networks and bend",
            "hovertemplate": "%{text}<extra></extra>",
        }
    )
    return figure


def training_figure(paths: Sequence[Path]) -> go.Figure:
    """The loss of the mini-batches on which bends were trained, averaged over a few steps."""
    traces: list[dict[str, Any]] = []
    for path in paths:
        loss = path.training[:, 1]
        if not len(loss):
            continue
        width = max(1, len(loss) // TRAINING_POINTS)
        kept = len(loss) // width * width
        means = loss[:kept].reshape(-1, width).mean(1)
        traces.append(
            {
                "type": "scatter",
                "x": np.arange(1, len(means) + 1) * width,
                "y": float32(means),
                "name": path.title,
                "mode": "lines",
                "line": {"color": COLORS[path.curve], "dash": DASHES[path.aligned], "width": 1.5},
                "hovertemplate": "%{y:.4~g}",
            }
        )
    return panel(
        traces,
        [],
        title="Training of the bend",
        alt="Loss of the mini-batches at random places on the curve over the steps.",
        x_axis={"title": "step"},
        y_axis={"title": f"batch loss at a random place, {CROSS_ENTROPY}", "nticks": 6},
        empty=f"A {CURVES['line']} has no bend.",
    )
