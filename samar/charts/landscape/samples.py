"""Samples of a subspace of several directions: over their distance, and seen along two directions.

There is no surface between the points. Over the distance from the network the loss is a band, as
wide as the directions differ; seen along two directions, points lie in front of each other that are
far apart in the others.
"""

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.figures import MARK, cut_off, short
from samar.charts.landscape.scale import COLORS, Scale, float32, quantity_of
from samar.charts.landscape.topology import flat_marks
from samar.charts.theme import panel
from samar.landscapes.topology.merge_tree import MergeTree
from samar.landscapes.topology.samples import Samples


def distance_figure(
    samples: Samples, scale: Scale, title: str, tree: MergeTree | None = None
) -> go.Figure:
    """The loss, or accuracy, of each point over its distance from the network.

    Args:
        tree: whose minima and saddles are marked.
    """
    values = np.clip(quantity_of(samples, scale.quantity), *scale.bounds)
    traces = _points(samples, scale, samples.distance, values)
    if tree is not None and scale.quantity == "loss":
        traces += flat_marks(tree, lambda node: (samples.distance[node.index], values[node.index]))
    traces.append(_network(values[0]))
    norm = samples.manifest.get("weight_norm")
    beside = f" (the weights: {norm:.3g})" if norm else ""
    return _figure(
        traces,
        samples,
        scale,
        title,
        f"{scale.quantity} over distance",
        {"title": f"distance from the network{beside}", "zeroline": False},
        scale.axis(),
    )


def projection_figure(
    samples: Samples,
    scale: Scale,
    title: str,
    tree: MergeTree | None = None,
    *,
    across: tuple[int, int] = (0, 1),
) -> go.Figure:
    """The points along two of the directions, coloured by loss or accuracy, the lowest on top.

    Args:
        tree: whose minima and saddles are marked.
        across: numbers of the two directions, from 0.
    """
    x, y = across
    traces = _points(samples, scale, samples.points[:, x], samples.points[:, y])
    for cloud in traces:
        cloud["marker"]["size"] = 9
    traces[-1]["marker"] |= {"showscale": True, "colorbar": scale.colorbar()}
    if tree is not None and scale.quantity == "loss":
        traces += flat_marks(tree, lambda node: (node.position[x], node.position[y]))
    traces.append(_network(0.0))
    labels = samples.manifest.get("labels") or [f"direction {i + 1}" for i in range(samples.dim)]
    square = {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    beside = {"constrain": "domain", "constraintoward": "right"}  # its colour bar
    figure = _figure(
        traces,
        samples,
        scale,
        title,
        f"directions {x + 1} and {y + 1}",
        {"title": labels[x], "zeroline": False} | beside,
        {"title": labels[y], "zeroline": False} | square,
    )
    return figure.update_layout(showlegend=False)  # as of the distances


def _points(samples: Samples, scale: Scale, x: Any, y: Any) -> list[dict[str, Any]]:
    """All samples, those of low loss last, so that they lie on top.

    Those of which less is known have a trace of their own, below the others. Numbers travel, and
    the browser puts them into words: sentences of thousands of points would be megabytes.
    """
    order = np.argsort(-np.nan_to_num(samples.loss, nan=np.inf), kind="stable")
    low, high = scale.drawn_bounds
    drawn = scale.drawn(quantity_of(samples, scale.quantity))
    unknown = np.full(len(order), np.nan)
    error = unknown if samples.loss_se is None else samples.loss_se
    numbers = [samples.points, samples.distance, samples.loss, error, samples.accuracy]
    told = float32(np.column_stack(numbers))
    known = np.isfinite(told[:, -2:]) @ (1, 2)
    return [
        {
            "type": "scattergl" if len(order) > 2000 else "scatter",
            "mode": "markers",
            "name": "samples",
            "x": float32(x[part]),
            "y": float32(y[part]),
            "marker": {"color": float32(drawn[part]), "colorscale": COLORS}
            | {"cmin": low, "cmax": high, "size": 6, "opacity": 0.8},
            "customdata": told[part],
            "hovertemplate": _template(samples.dim, bool(which & 1), bool(which & 2)),
            "showlegend": False,
        }
        for which in np.unique(known).tolist()
        for part in (order[known[order] == which],)
    ]


def _template(dim: int, error: bool, accuracy: bool) -> str:
    def number(column: int, form: str) -> str:
        return f"%{{customdata[{column}]:{form}}}"

    words = ", ".join(number(each, ".3~g") for each in range(dim))
    words += f"<br>{number(dim, '.3~g')} from the network<br>loss {number(dim + 1, '.4~g')}"
    words += f" ± {number(dim + 2, '.2~g')}" if error else ""
    words += f"<br>accuracy {number(dim + 3, '.1%')}" if accuracy else ""
    return f"{words}<extra></extra>"


def _network(height: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [0.0],
        "y": [float(height)],
        "name": "the network",
        "marker": {"color": MARK, "size": 7, "symbol": "diamond"},
        "hovertemplate": "the network<extra></extra>",
    }


def _figure(
    traces: list[dict[str, Any]],
    samples: Samples,
    scale: Scale,
    title: str,
    what: str,
    x_axis: dict[str, Any],
    y_axis: dict[str, Any],
) -> go.Figure:
    low, high = scale.bounds
    heading = f"{html.escape(short(title))} · {what}{cut_off(samples, scale)}"
    figure = panel(
        traces,
        [],
        title=heading,
        alt=f"{title}, {what}: the {scale.quantity} at {len(samples.loss)} points in "
        f"{samples.dim} directions, from {low:.3g} to {high:.3g}.",
        x_axis=x_axis,
        y_axis=y_axis,
        empty="",
    )
    return figure.update_layout(hovermode="closest")
