"""A landscape as a surface and as a contour map; all that is cosmetic happens in the figures.

The arrays stay as measured. A figure shows them in percent or as logarithms, and cut off at the
top of its range, of which its title then speaks.
"""

import html
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.overlays import COLORS, film, float32, overlays
from samar.charts.landscape.scale import Look, quantity_of
from samar.charts.theme import NEUTRAL, panel
from samar.landscape.result import Landscape

CAMERAS = {
    "45°": {"x": 1.2, "y": -1.2, "z": 0.95},
    "front": {"x": 0.01, "y": -1.9, "z": 0.25},
    "top": {"x": 0.0, "y": -0.01, "z": 2.0},
}
CONTOURS = 20


def surface_figure(landscape: Landscape, look: Look, title: str) -> go.Figure:
    """The plane in three dimensions, its contours projected under it."""
    z, (low, high) = look.drawn(quantity_of(landscape, look.quantity)), look.drawn_bounds
    start, step = _contours(low, high)
    surface: dict[str, Any] = {
        "type": "surface",
        **_coordinates(landscape),
        "z": float32(z),
        "text": _hover(landscape),
        "hovertemplate": "%{text}<extra></extra>",
        "contours": {
            "z": {"show": True, "project": {"z": True}, "color": NEUTRAL, "width": 1}
            | {"start": start, "end": high, "size": step},
            "x": {"highlight": False},
            "y": {"highlight": False},
        },
        "colorscale": COLORS,
        "cmin": low,
        "cmax": high,
        "showscale": False,
    }
    traces: list[dict[str, Any]] = [surface]
    lift = 0.01 * (high - low)
    for overlay in overlays(landscape, look):
        height = look.drawn(overlay.pop("value")) + lift
        traces.append({**overlay, "type": "scatter3d", "z": float32(height)})
    floor = low - 0.35 * (high - low)
    axes: dict[str, Any] = {
        f"{name}axis": {"title": f"direction {i + 1}", "nticks": 5} for i, name in enumerate("xy")
    }
    buttons = [
        {"label": name, "method": "relayout", "args": [{"scene.camera": _camera(name)}]}
        for name in CAMERAS
    ]
    layout = {
        "template": "none",
        "meta": {"alt": _alt(landscape, look, "Surface", title)},
        "title": {"text": _heading(landscape, look, title), "y": 1, "yanchor": "top"},
        "scene": axes
        | {
            "zaxis": {"title": look.quantity, "range": [floor, high], "nticks": 6, **look.ticks()},
            "camera": _camera("45°"),
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.75},
        },
        "updatemenus": [
            {"type": "buttons", "direction": "right", "showactive": False, "buttons": buttons}
            | {"x": 0, "y": 1, "xanchor": "left", "yanchor": "top", "pad": {"l": 4, "t": 4}}
        ],
        "showlegend": False,
        "margin": {"l": 0, "r": 0, "t": 44, "b": 0},
    }
    return go.Figure(data=traces, layout=layout)


def contour_figure(landscape: Landscape, look: Look, title: str) -> go.Figure:
    """The plane from above; a path on it plays when it has more than three networks."""
    z, (low, high) = look.drawn(quantity_of(landscape, look.quantity)), look.drawn_bounds
    start, step = _contours(low, high)
    contour = {
        "type": "contour",
        **_coordinates(landscape),
        "z": float32(z),
        "text": _hover(landscape),
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": COLORS,
        "zmin": low,
        "zmax": high,
        "contours": {"start": start, "end": high, "size": step},
        "line": {"width": 0.7},
        "connectgaps": False,
        "colorbar": {
            "title": {"text": look.title, "side": "right"},
            "thickness": 12,
            "outlinewidth": 0,
            **look.ticks(),
        },
    }
    traces: list[dict[str, Any]] = [contour]
    frames = []
    for overlay in overlays(landscape, look):
        overlay.pop("value")
        if landscape.trail is not None and len(overlay["x"]) == len(landscape.trail.names) > 3:
            frames = film(overlay, len(traces))
        traces.append({**overlay, "type": "scatter"})
    x_title, y_title = _labels(landscape)
    figure = panel(
        traces,
        [],
        title=_heading(landscape, look, title).removeprefix("<b>").replace("</b>", "", 1),
        alt=_alt(landscape, look, "Contour map", title),
        x_axis={"title": x_title, "zeroline": False},
        y_axis={"title": y_title, "zeroline": False},
        empty="",
    )
    figure.update_layout(hovermode="closest", showlegend=False)
    widths = [float(np.ptp(axis)) for axis in landscape.axes]
    if max(widths) <= 2 * min(widths):  # one scale, so that a ball of equal axes is a circle
        same = {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
        figure.update_layout(yaxis=same)
        figure.update_layout(xaxis={"constrain": "domain"})
    if frames:
        figure.frames = frames
        play: dict[str, Any] = {"label": "▶ play the path", "method": "animate"}
        play["args"] = [None, {"frame": {"duration": 250, "redraw": True}, "fromcurrent": False}]
        figure.update_layout(
            updatemenus=[
                {"type": "buttons", "showactive": False, "buttons": [play], "x": 1, "y": 1.02}
                | {"xanchor": "right", "yanchor": "bottom"}
            ]
        )
    return figure


def _coordinates(landscape: Landscape) -> dict[str, Any]:
    return {name: float32(axis) for name, axis in zip("xy", landscape.axes, strict=True)}


def _labels(landscape: Landscape) -> list[str]:
    labels: list[str] = landscape.manifest.get("labels", ["direction 1", "direction 2"])
    return labels


def _hover(landscape: Landscape) -> Any:
    """What was measured at each point, whatever is cut off in the figure: (n, n) texts."""
    rows = [
        [
            f"{x:.3g}, {y:.3g}<br>loss {loss:.4g}<br>accuracy {accuracy:.1%}"
            for x, loss, accuracy in zip(landscape.axes[0], losses, accuracies, strict=True)
        ]
        for y, losses, accuracies in zip(
            landscape.axes[1], landscape.loss, landscape.accuracy, strict=True
        )
    ]
    return np.array(rows, dtype=object)  # plotly takes nested lists of a surface for one string


def _heading(landscape: Landscape, look: Look, title: str) -> str:
    highest = np.nanmax(quantity_of(landscape, look.quantity), initial=-np.inf)
    cut = f" · cut off at {look.bounds[1]:.3g}" if highest > look.bounds[1] * (1 + 1e-9) else ""
    return f"<b>{html.escape(title)}</b>{cut}"


def _alt(landscape: Landscape, look: Look, kind: str, title: str) -> str:
    low, high = look.bounds
    return (
        f"{kind} of the {look.quantity} of {title} on {landscape.points} by {landscape.points} "
        f"points, from {low:.3g} to {high:.3g}."
    )


def _camera(name: str) -> dict[str, Any]:
    return {"eye": CAMERAS[name], "up": {"x": 0, "y": 0, "z": 1}, "center": {"z": -0.2}}


def _contours(low: float, high: float) -> tuple[float, float]:
    """First contour and a round step that gives about ``CONTOURS`` of them."""
    rough = (high - low) / CONTOURS
    decade = 10.0 ** np.floor(np.log10(rough))
    step = decade * next(m for m in (1, 2, 5, 10) if m * decade >= rough)
    return float(np.ceil(low / step) * step), float(step)
