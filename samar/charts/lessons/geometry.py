"""Figures of lessons about the shape of the loss: planes, lines, eigenvalues, rates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.lessons.parts import line, moving, words_panel
from samar.charts.smoothing import Floats
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES

COLORS = "Viridis"


def film_figure(axes: Any, loss: Any, title: str, *, top: float, scale: bool = True) -> go.Figure:
    """The loss on a plane around the network, moment by moment.

    Args:
        axes: (2, n) coordinates.
        loss: (m, n, n); the figure shows the last and has a frame for each, unless there is one.
        top: losses above are drawn as this; the bottom is 0.
        scale: draw the colour bar.
    """
    shown = np.minimum(loss, top).astype(np.float32)
    count, n = len(shown), shown.shape[1]
    contour = {
        "type": "contour",
        "x": np.asarray(axes[0], dtype=np.float32),
        "y": np.asarray(axes[1], dtype=np.float32),
        "z": shown[-1],
        "colorscale": COLORS,
        "zmin": 0,
        "zmax": top,
        "contours": {"start": 0, "end": top, "size": top / 12},
        "line": {"width": 0.6},
        "showscale": scale,
        "colorbar": {"title": {"text": "loss", "side": "right"}, "thickness": 12}
        | {"tick0": 0, "dtick": top / 4},
        "hovertemplate": "loss %{z:.3g}<extra></extra>",
    }
    here = {
        "type": "scatter",
        "mode": "markers",
        "x": [0],
        "y": [0],
        "marker": {"symbol": "cross", "size": 11, "color": "#ffffff"}
        | {"line": {"color": "#000000", "width": 1.5}},
        "name": "the network",
        "hovertemplate": "the network<extra></extra>",
    }
    middle = n // 2
    figure = words_panel(
        [contour, here],
        title=title,
        alt=f"Contour map of the loss around the network in {count} pictures; at the centre "
        f"{loss[0, middle, middle]:.2f} at first, {loss[-1, middle, middle]:.2f} at last; "
        f"highest on the last {loss[-1].max():.3g}.",
        x={"title": "direction 1", "zeroline": False},
        y={"title": "direction 2", "zeroline": False},
    )
    figure.update_layout(hovermode="closest", showlegend=False)
    if count > 1:
        # An empty trace of a kind that plotly can only redraw: without, contours would stand still.
        figure.add_histogram(x=[], showlegend=False)
        figure.frames = [
            {"name": str(moment), "data": [{"type": "contour", "z": picture}], "traces": [0]}
            for moment, picture in enumerate(shown)
        ]
    return figure


def valley_line_figure(alpha: Floats, losses: Mapping[str, Floats]) -> go.Figure:
    """The loss on the straight line from one network (0) to another (1).

    Args:
        alpha: (n,) positions.
        losses: ``train`` and ``test`` (n,).
    """
    names = {"train": "training images", "test": "test images"}
    styles = {"train": (NEUTRAL, "dash"), "test": ("#0072B2", "solid")}
    traces = []
    for key, values in losses.items():
        color, dash = styles[key]
        traces.append(
            line(alpha, values, names[key]) | {"line": {"color": color, "dash": dash, "width": 2.5}}
        )
    high = max(float(v[(alpha >= -0.3) & (alpha <= 1.3)].max()) for v in losses.values())
    shapes = [_upright(0, "SGD's end"), _upright(1, "SAMAR's end")]
    return words_panel(
        traces,
        title="The straight line between the two ends",
        alt="Loss on the line from SGD's end to SAMAR's; on test images "
        f"{np.interp(0, alpha, losses['test']):.2f} at SGD's and "
        f"{np.interp(1, alpha, losses['test']):.2f} at SAMAR's.",
        x={"title": "position on the line (0 is SGD's end, 1 is SAMAR's)"},
        y={"title": "cross-entropy (nats)", "range": [0, 1.05 * high]},
        shapes=shapes,
    )


def stability_figure(
    at: Mapping[str, Floats],
    lam_max: Mapping[str, Floats],
    residual: Mapping[str, Floats],
    lr: float,
    until: int,
) -> go.Figure:
    """λ_max of the full loss over steps, against the level 2/η; grows look by look."""
    traces = []
    for name, values in lam_max.items():
        style = OPTIMIZER_STYLES[name]
        title = "gradient descent" if name == "sgd" else style.title
        bars = {"type": "data", "array": residual[name][:until].astype(np.float32), "width": 2}
        traces.append(
            line(at[name][:until], values[:until], title, name, error_y=bars | {"thickness": 1})
        )
    bound = 2 / lr
    text = {"text": f"2/η = {bound:g}", "textposition": "start", "yanchor": "bottom"}
    shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": bound, "y1": bound}
    ends = ", ".join(f"{OPTIMIZER_STYLES[n].title} {v[until - 1]:.1f}" for n, v in lam_max.items())
    whole = next(iter(at.values()))
    top = max(bound, *(float(v.max()) for v in lam_max.values()))
    figure = words_panel(
        traces,
        title="Largest curvature against 2/η",
        alt=f"Largest Hessian eigenvalue over steps beside 2/η = {bound:g}; at last: {ends}.",
        x={"title": "step (all images at once)", "range": [0, float(whole[-1])]},
        y={"title": "λ_max", "range": [0, 1.08 * top]},
        shapes=[shape | {"line": {"dash": "longdash", "width": 2}, "label": text}],
    )
    return moving(figure, until - 1, "look", range(len(traces)))


def looks_figure(looks: Mapping[str, tuple[str, Mapping[str, Any]]]) -> go.Figure:
    """λ_max of real runs between their epochs, and 2/η as the learning rate falls.

    Args:
        looks: title to optimizer and columns ``step, lr, values, residuals``.
    """
    traces = []
    for title, (optimizer, columns) in looks.items():
        style = OPTIMIZER_STYLES[optimizer]
        traces.append(
            line(columns["step"], columns["values"][:, 0], title, optimizer)
            | {"mode": "lines+markers", "marker": {"symbol": style.symbol, "size": 6}}
        )
    columns = next(iter(looks.values()))[1]
    rate = np.maximum(np.asarray(columns["lr"], dtype=float), 1e-12)
    top = max(float(c["values"][:, 0].max()) for _, c in looks.values())
    traces.append(line(columns["step"], np.where(2 / rate > 4 * top, np.nan, 2 / rate), "2/η"))
    ends = ", ".join(f"{t} {c['values'][-1, 0]:.3g}" for t, (_, c) in looks.items())
    return words_panel(
        traces,
        title="The real runs: mini-batches, momentum, falling η",
        alt=f"Largest Hessian eigenvalue between epochs; at last: {ends}.",
        x={"title": "step"},
        y={"title": "λ_max", "type": "log", "nticks": 5},
    )


def rate_figure(horizon: Floats, squares: Mapping[str, Any], what: str) -> go.Figure:
    """Squared gradient over the number of steps K, both logarithmic, with a line of slope −1/2.

    Args:
        horizon: (n,).
        squares: optimizer to (n, seeds).
        what: ``mean`` or ``smallest``.
    """
    traces = []
    for name, values in squares.items():
        style = OPTIMIZER_STYLES[name]
        mean = values.mean(axis=1)
        spread = values.std(axis=1, ddof=1).astype(np.float32)
        traces.append(
            line(
                horizon,
                mean,
                f"{style.title}, slope {slope(horizon, mean):.2f}".replace("-", "−"),
                name,
            )
            | {"mode": "lines+markers", "marker": {"symbol": style.symbol, "size": 9}}
            | {"error_y": {"type": "data", "array": spread, "thickness": 1, "width": 3}}
        )
    start = max(float(values[0].mean()) for values in squares.values()) * 1.4
    traces.append(line(horizon, start * np.sqrt(horizon[0] / horizon), "slope −0.5: 1/√K"))
    slopes = ", ".join(
        f"{OPTIMIZER_STYLES[n].title} {slope(horizon, v.mean(axis=1)):.2f}"
        for n, v in squares.items()
    )
    return words_panel(
        traces,
        title=f"{what.capitalize()} squared gradient over the number of steps",
        alt=f"Both axes logarithmic; measured slopes: {slopes}; 1/√K has slope −0.5.",
        x={"title": "steps K", "type": "log", "tickvals": horizon.tolist()},
        y={"title": "‖∇f‖²", "type": "log", "nticks": 4},
    )


def slope(horizon: Floats, values: Floats) -> float:
    """Least-squares slope of log values over log horizon."""
    return float(np.polyfit(np.log(horizon), np.log(values), 1)[0])


def _upright(x: float, text: str) -> dict[str, Any]:
    label = {"text": text, "textposition": "end", "xanchor": "left", "yanchor": "top"}
    place = {"type": "line", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1}
    return place | {"line": {"dash": "dot", "width": 1.5}, "label": label | {"textangle": 0}}
