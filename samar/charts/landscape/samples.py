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
    traces = [_points(samples, scale, samples.distance, values)]
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
    cloud = _points(samples, scale, samples.points[:, x], samples.points[:, y])
    cloud["marker"] |= {
        "size": 9,
        "showscale": True,
        "colorbar": scale.colorbar(),
    }
    traces = [cloud]
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


def _points(samples: Samples, scale: Scale, x: Any, y: Any) -> dict[str, Any]:
    """All samples, those of low loss last, so that they lie on top."""
    order = np.argsort(-np.nan_to_num(samples.loss, nan=np.inf), kind="stable")
    low, high = scale.drawn_bounds
    drawn = scale.drawn(quantity_of(samples, scale.quantity))
    return {
        "type": "scattergl" if len(order) > 2000 else "scatter",
        "mode": "markers",
        "name": "samples",
        "x": float32(x[order]),
        "y": float32(y[order]),
        "marker": {"color": float32(drawn[order]), "colorscale": COLORS, "cmin": low, "cmax": high}
        | {"size": 6, "opacity": 0.8},
        "text": [_told(samples, number) for number in order.tolist()],
        "hovertemplate": "%{text}<extra></extra>",
        "showlegend": False,
    }


def _told(samples: Samples, number: int) -> str:
    place = ", ".join(f"{each:.3g}" for each in samples.points[number])
    words = f"{place}<br>{samples.distance[number]:.3g} from the network"
    words += f"<br>loss {samples.loss[number]:.4g}"
    if samples.loss_se is not None and np.isfinite(samples.loss_se[number]):
        words += f" ± {samples.loss_se[number]:.2g}"
    right = samples.accuracy[number]
    return words + (f"<br>accuracy {right:.1%}" if np.isfinite(right) else "")


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
