"""A landscape as a surface, a contour map and slices; all that is cosmetic happens in the figures.

The arrays stay as measured. A figure shows them in percent or as logarithms, and cut off at the
top of its range, of which its title then speaks.
"""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.scale import COLORS, Scale, clipped, float32, quantity_of
from samar.charts.landscape.topology import flat_marks, floor_marks, marks
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, panel
from samar.landscapes.grid import Floats
from samar.landscapes.result import Ball, Landscape, Trail
from samar.landscapes.topology.merge_tree import MergeTree

CAMERAS = {
    "45°": {"x": 1.4, "y": -1.4, "z": 1.05},
    "front": {"x": 0.01, "y": -1.9, "z": 0.25},
    "top": {"x": 0.0, "y": -0.01, "z": 2.0},
}
CONTOURS = 20
TITLE_LENGTH = 32
"""Characters that fit over a narrow figure; the whole title stands below the figures."""
MARK = "#D55E00"
PATH_NAME = "networks"
SNAPSHOTS = 5
"""So many a second, when a path plays."""
PATH = {"color": "#FFFFFF", "width": 3}
LINES = (("#0072B2", "solid", "circle"), ("#D55E00", "dash", "square"))
"""First and second network, or first and second direction of one."""


def surface_figure(
    landscape: Landscape, scale: Scale, title: str, tree: MergeTree | None = None
) -> go.Figure:
    """The plane in three dimensions, its contours projected under it.

    Args:
        tree: whose minima and saddles are marked.
    """
    z, (low, high) = scale.drawn(quantity_of(landscape, scale.quantity)), scale.drawn_bounds
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
    meta: dict[str, Any] = {"alt": _alt(landscape, scale, "Surface", title)}
    for overlay in _overlays(landscape, scale, tree, solid=True):
        if overlay["name"] == PATH_NAME and has_film(landscape):
            last = len(overlay["x"]) - 1
            film = {"last": last, "label": "snapshot", "grow": [len(traces)], "speed": SNAPSHOTS}
            meta["film"] = film
            overlay["line"] = {"color": MARK, "width": 5}  # white cannot be seen beside the surface
        height = scale.drawn(overlay.pop("value")) + lift
        traces.append({**overlay, "type": "scatter3d", "z": float32(height)})
    # An upright title of the vertical axis falls out of a narrow tile.
    heading = _heading(landscape, scale, title) + f" · {scale.quantity}"
    heading += " (log scale)" if scale.logarithmic else ""
    floor = low - 0.35 * (high - low)
    if tree is not None and scale.quantity == "loss":
        traces += floor_marks(tree, floor)
    axes: dict[str, Any] = {
        f"{name}axis": {"title": f"direction {i + 1}", "nticks": 5} for i, name in enumerate("xy")
    }
    buttons = [
        {"label": name, "method": "relayout", "args": [{"scene.camera": _camera(name)}]}
        for name in CAMERAS
    ]
    layout = {
        "template": "none",
        "meta": meta,
        "title": {"text": heading, "y": 1, "yanchor": "top"},
        "scene": axes
        | {
            "zaxis": {
                "title": "",
                "range": [floor, high],
                "nticks": 6,
                **scale.ticks(),
            },
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


def contour_figure(
    landscape: Landscape, scale: Scale, title: str, tree: MergeTree | None = None
) -> go.Figure:
    """The plane from above; a path on it has a frame for each of its networks.

    Args:
        tree: whose minima and saddles are marked.
    """
    z, (low, high) = scale.drawn(quantity_of(landscape, scale.quantity)), scale.drawn_bounds
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
        "colorbar": scale.colorbar(),
    }
    traces: list[dict[str, Any]] = [contour]
    if landscape.is_adaptive:
        traces.append(_measured_points(landscape))
    frames = []
    for overlay in _overlays(landscape, scale, tree):
        overlay.pop("value")
        if overlay["name"] == PATH_NAME and has_film(landscape):
            frames = _frames(overlay, len(traces))
        traces.append({**overlay, "type": "scatter"})
    x_title, y_title = _labels(landscape)
    figure = panel(
        traces,
        [],
        title=_heading(landscape, scale, title).removeprefix("<b>").replace("</b>", "", 1),
        alt=_alt(landscape, scale, "Contour map", title),
        x_axis={"title": x_title, "zeroline": False},
        y_axis={"title": y_title, "zeroline": False},
        empty="",
    )
    figure.update_layout(hovermode="closest", showlegend=False)
    widths = [float(np.ptp(axis)) for axis in landscape.axes]
    if max(widths) <= 2 * min(widths):  # one scale, so that a ball of equal axes is a circle
        same = {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
        figure.update_layout(yaxis=same)
        beside = {"constrain": "domain", "constraintoward": "right"}  # beside its colour bar
        figure.update_layout(xaxis=beside)
    figure.frames = frames
    return figure


def _measured_points(landscape: Landscape) -> dict[str, Any]:
    rows, columns = np.nonzero(landscape.done)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": float32(landscape.axes[0][columns]),
        "y": float32(landscape.axes[1][rows]),
        "marker": {"color": "#FFFFFF", "size": 3, "opacity": 0.7},
        "name": "measured",
        "hoverinfo": "skip",
    }


def has_film(landscape: Landscape) -> bool:
    """Whether a path of several moments lies on the plane, which can be played."""
    own = landscape.manifest.get("directions") != "between"
    return own and landscape.trail is not None and len(landscape.trail.names) > 2


def _coordinates(landscape: Landscape) -> dict[str, Any]:
    return {name: float32(axis) for name, axis in zip("xy", landscape.axes, strict=True)}


def _labels(landscape: Landscape) -> list[str]:
    labels: list[str] = landscape.manifest.get("labels", ["direction 1", "direction 2"])
    return labels


def _hover(landscape: Landscape) -> Any:
    """What was measured at each point, whatever is cut off in the figure: (n, n) texts."""
    unknown = np.full_like(landscape.loss, np.nan)
    errors = (unknown if each is None else each for each in landscape.errors.values())
    x, y = np.meshgrid(*landscape.axes)
    columns = (x, y, landscape.loss, landscape.accuracy, *errors, landscape.done)
    left_out = landscape.is_adaptive
    rows = zip(*(column.ravel().tolist() for column in columns), strict=True)
    texts = [_point(row[:-1], bool(row[-1]) or not left_out) for row in rows]
    # plotly takes nested lists of a surface for one string
    return np.array(texts, dtype=object).reshape(landscape.loss.shape)


def _point(numbers: Sequence[float], measured: bool) -> str:
    x, y, loss, accuracy, loss_se, difference_se = numbers
    words = f"{x:.3g}, {y:.3g}<br>loss {loss:.4g}"
    if np.isfinite(loss_se):
        words += f" ± {loss_se:.2g}"
    if not measured:
        words += " (interpolated)"
    if np.isfinite(difference_se):
        words += f"<br>difference to the network ± {difference_se:.2g}"
    return words + (f"<br>accuracy {accuracy:.1%}" if np.isfinite(accuracy) else "")


def _heading(landscape: Landscape, scale: Scale, title: str) -> str:
    return f"<b>{html.escape(short(title))}</b>{cut_off(landscape, scale)}"


def cut_off(landscape: Landscape, scale: Scale) -> str:
    """Where the range ends, for a title, if a value lies above."""
    return f" · cut off at {scale.bounds[1]:.3g}" if clipped(landscape, scale) else ""


def short(title: str) -> str:
    """A title that fits over a narrow figure."""
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1].rstrip(" ·,") + "…"


def _alt(landscape: Landscape, scale: Scale, kind: str, title: str) -> str:
    low, high = scale.bounds
    return (
        f"{kind} of the {scale.quantity} of {title} on {landscape.points} by {landscape.points} "
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


def _overlays(
    landscape: Landscape, scale: Scale, tree: MergeTree | None, *, solid: bool = False
) -> list[dict[str, Any]]:
    """Network, ρ-ball, path, minima and saddles of a plane, with the value each is drawn at."""
    found: list[dict[str, Any]] = []
    ball, path = landscape.ball, landscape.trail
    if ball is not None and scale.quantity == "loss":
        found.append(_ring(ball))
    if path is not None:
        found.append(_path(path, scale))
    else:
        own = landscape.centre_loss if scale.quantity == "loss" else np.nan
        dot: dict[str, Any] = {
            "mode": "markers",
            "marker": {"color": MARK, "size": 6, "symbol": "diamond"},
        }
        dot |= {"x": [0.0], "y": [0.0], "name": "the network", "value": np.array([own])}
        found.append(dot | {"hovertemplate": "the network<extra></extra>"})
    if tree is not None and scale.quantity == "loss":
        found += marks(tree, solid=solid)
    return found


def _ring(ball: Ball) -> dict[str, Any]:
    closed = np.concatenate([ball.coordinates, ball.coordinates[:1]])
    losses = np.concatenate([ball.loss, ball.loss[:1]])
    return {
        "x": float32(closed[:, 0]),
        "y": float32(closed[:, 1]),
        "value": losses,
        "mode": "lines",
        "line": {"color": MARK, "width": 3},
        "name": f"ρ = {ball.rho:g}",
        "text": [f"at the edge of ρ = {ball.rho:g}<br>loss {v:.4f}" for v in losses],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _path(path: Trail, scale: Scale) -> dict[str, Any]:
    values = quantity_of(path, scale.quantity)
    low, high = scale.drawn_bounds
    color = {"color": float32(scale.drawn(values)), "colorscale": COLORS, "cmin": low, "cmax": high}
    return {
        "x": float32(path.coordinates[:, 0]),
        "y": float32(path.coordinates[:, 1]),
        "value": values,
        "mode": "lines+markers",
        "line": PATH,
        "marker": color | {"size": 9, "line": {"color": PATH["color"], "width": 1.5}},
        "name": PATH_NAME,
        "text": [
            f"{name}<br>own loss {loss:.4f}, accuracy {accuracy:.1%}<br>{off:.3g} off the plane"
            for name, loss, accuracy, off in zip(
                path.names, path.loss, path.accuracy, path.off_plane, strict=True
            )
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _frames(overlay: dict[str, Any], trace: int) -> list[dict[str, Any]]:
    """Frames in which a path, trace number ``trace`` of its figure, grows network by network."""
    return [
        {
            "name": str(n),
            "data": [{"x": overlay["x"][:n], "y": overlay["y"][:n]}],
            "traces": [trace],
        }
        for n in range(1, len(overlay["x"]) + 1)
    ]


def slices_figure(
    named: Sequence[tuple[str, Landscape]],
    scale: Scale,
    optimizers: Sequence[str] = (),
    trees: Sequence[MergeTree | None] = (),
) -> go.Figure:
    """Lines through the centre: both directions of one plane, or the first of two; or a line.

    Args:
        optimizers: what two runs were trained with; their colours are used if they differ.
        trees: whose minima, and the maxima between them, are marked on lines.
    """
    if len(named) == 1 and named[0][1].is_plane:
        _, landscape = named[0]
        curves = [
            (f"along direction {i + 1}", *slice_)
            for i, slice_ in enumerate(_slices(landscape, scale.quantity))
        ]
        x_title = "distance from the network along the direction"
    else:
        curves = [(short(title), *_slices(each, scale.quantity)[0]) for title, each in named]
        x_title = named[0][1].manifest.get("labels", ["direction 1"])[0]
    traces: list[dict[str, Any]] = []
    styles = [OPTIMIZER_STYLES[name] for name in optimizers if name in OPTIMIZER_STYLES]
    own = [(style.color, style.dash, style.symbol) for style in styles]
    for (name, x, y, measured), (color, dash, symbol) in zip(
        curves, own if len(set(own)) == len(curves) > 1 else LINES, strict=False
    ):
        traces.append(
            {
                "type": "scatter",
                "x": float32(x),
                "y": float32(y),
                "name": html.escape(name),
                "mode": "lines+markers",
                "line": {"color": color, "dash": dash, "width": 2},
                # An interpolated point is a part of the line alone.
                "marker": {"symbol": symbol, "opacity": 1}
                | {"size": 6 if measured.all() else 6 * measured},
                "hovertemplate": "%{y:.4~g}",
            }
        )
    if len(named) == 1 and np.isfinite(barrier := _barrier(named[0][1])):
        traces.append(_chord(named[0][1], scale))
        heading = f"Slice · barrier {barrier:.4g}" if scale.quantity == "loss" else "Slice"
    else:
        heading = "Slices through the centre" if named[0][1].is_plane else "Slice"
    if not named[0][1].is_plane and scale.quantity == "loss":
        traces += _line_marks(trees)
    return panel(
        traces,
        [],
        title=heading,
        alt=f"{heading}: {scale.title} over {x_title}.",
        x_axis={"title": x_title},
        y_axis=scale.axis(),
        empty="",
    )


def _line_marks(trees: Sequence[MergeTree | None]) -> list[dict[str, Any]]:
    """Minima and maxima of lines; each kind stands once in the legend."""
    traces: list[dict[str, Any]] = []
    for tree in filter(None, trees):
        for each in flat_marks(tree, lambda node: (node.position[0], node.loss)):
            known = any(each["name"] == other["name"] for other in traces)
            traces.append({**each, "legendgroup": each["name"], "showlegend": not known})
    return traces


def empty_figure(reach: float, note: str, dim: int = 2) -> go.Figure:
    """What a contour map, or a slice, is about to fill.

    Args:
        reach: half its width.
        note: what it waits for.
        dim: 2 for a square.
    """
    figure = panel(
        [],
        [],
        title=" ",
        alt="Nothing is measured yet.",
        x_axis={"title": ""},
        y_axis={"title": ""},
        empty=note,
    )
    edge = {"showticklabels": True, "ticks": "outside", "range": [-reach, reach], "nticks": 5}
    edge |= {"showline": True, "mirror": True, "zeroline": False, "fixedrange": True}
    beside = {"constrain": "domain", "constraintoward": "left"}
    same = {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
    figure.update_annotations(xref="x domain", yref="y domain")
    if dim == 1:
        return figure.update_layout(xaxis=edge, yaxis=edge | {"showticklabels": False})
    return figure.update_layout(xaxis=edge | beside, yaxis=edge | same)


def _slices(landscape: Landscape, quantity: str) -> list[tuple[Floats, Floats, Any]]:
    """Coordinates, values, and which of them are measured."""
    values = quantity_of(landscape, quantity)
    shown = landscape.done if landscape.is_adaptive else np.ones_like(values, dtype=bool)
    if not landscape.is_plane:
        return [(landscape.axes[0], values, shown)]
    column, row = (int(np.argmin(np.abs(axis))) for axis in landscape.axes)
    across = (landscape.axes[0], values[row], shown[row])
    return [across, (landscape.axes[1], values[:, column], shown[:, column])]


def _barrier(landscape: Landscape) -> float:
    between = landscape.manifest.get("directions") == "between" and not landscape.is_plane
    return landscape.barrier if between else float("nan")


def _chord(landscape: Landscape, scale: Scale) -> dict[str, Any]:
    alpha, values = landscape.axes[0], quantity_of(landscape, scale.quantity)
    inside = (alpha >= 0) & (alpha <= 1)
    along = alpha[inside]
    y = (1 - along) * values[inside][0] + along * values[inside][-1]
    line = {"color": NEUTRAL, "dash": "dot", "width": 1.5}
    straight = {"type": "scatter", "x": float32(along), "y": float32(y), "name": "chord"}
    return straight | {"mode": "lines", "line": line, "hovertemplate": "%{y:.4~g}"}
