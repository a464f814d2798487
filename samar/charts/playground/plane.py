"""The playground from above and from the side: a loss of two parameters and what descends on it.

Only traces that move carry a film (``layout.meta["film"]``, see ``assets/plotly_clock.js``), so
that a slider's answer stays small and the browser plays it without a server.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.overlays import COLORS, float32
from samar.charts.playground.moves import Ground, Moves
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.playground.catalog import LANDSCAPES
from samar.playground.config import PlaygroundConfig
from samar.playground.descent import Path

GREYS = [[0, "rgba(128,128,128,0)"], [1, "rgba(128,128,128,0.45)"]]
CONTOURS = 22
MARKS = {"square": "square", "triangle-up": "diamond", "cross": "cross", "diamond": "circle"}
"""Markers in three dimensions, where plotly has fewer."""

POINT = np.zeros((1, 3))
"""A shape that is nothing but the point it stands on."""

CAMERA = {"eye": {"x": -0.2, "y": -1.0, "z": 1.35}, "center": {"x": 0.02, "y": 0, "z": -0.18}}
START = {"symbol": "x", "size": 12, "color": "#ffffff", "line": {"color": "#000000", "width": 2}}


def picture(config: PlaygroundConfig, paths: Mapping[str, Path], focus: str | None) -> go.Figure:
    """Contours from above, with every path.

    Args:
        config: Which loss; its start is marked.
        paths: As :func:`samar.playground.descend` gives them.
        focus: Of which optimizer ρ-ball, ε and gradients are drawn; None for none.
    """
    ground, info = Ground(config), LANDSCAPES[config.landscape]
    traces: list[dict[str, Any]] = [_contour(ground), _start(config)]
    film, lines = Film(paths), {}
    for name, path in paths.items():
        style, lines[name] = OPTIMIZER_STYLES[name], len(traces)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                **film.grow(len(traces), path.positions),
                "line": {"color": style.color, "dash": style.dash, "width": 2.5},
                "name": style.title,
                "legendgroup": name,
                "hovertemplate": f"{style.title}<br>%{{x:.2f}}, %{{y:.2f}}<extra></extra>",
            }
        )
    if focus is not None and focus in paths:
        for overlay in Moves(ground, paths[focus], config.rho).overlays():
            if "shape" in overlay:
                last = film.follow(len(traces), lines[focus], overlay.pop("shape"))
            else:
                last = film.rows(len(traces), overlay.pop("rows"))
            traces.append(
                {"type": "scatter", "mode": "lines", "hoverinfo": "skip"} | overlay | last
            )
    for name, line in lines.items():
        style = OPTIMIZER_STYLES[name]
        last = film.follow(len(traces), line)
        marker = {"symbol": style.symbol, "size": 13, "color": style.color}
        traces.append(
            {"type": "scatter", "mode": "markers", "name": style.title, "legendgroup": name}
            | {"marker": marker | {"line": {"color": "#ffffff", "width": 1.5}}}
            | {"showlegend": False, "hoverinfo": "skip"}
            | last
        )
    layout = _layout(config, paths, film) | {
        "xaxis": {"range": list(info.x_range), "title": "x", "zeroline": False, "showgrid": False}
        | {"constrain": "domain", "uirevision": config.landscape},
        "yaxis": {"range": list(info.y_range), "title": "y", "zeroline": False, "showgrid": False}
        | {"scaleanchor": "x", "constrain": "domain", "constraintoward": "top"}
        | {"uirevision": config.landscape},
        "dragmode": False,
        "hovermode": "closest",
        "margin": {"l": 40, "r": 8, "t": 8, "b": 40},
    }
    return go.Figure(data=traces, layout=layout)


def surface(config: PlaygroundConfig, paths: Mapping[str, Path], focus: str | None) -> go.Figure:
    """The same in three dimensions; heights are cut off at the top of the range."""
    ground = Ground(config)
    film, lines = Film(paths), {}
    traces: list[dict[str, Any]] = [
        {
            "type": "surface",
            "x": float32(ground.x),
            "y": float32(ground.y),
            "z": float32(ground.cut),
            "colorscale": COLORS,
            "cmin": ground.low,
            "cmax": ground.high,
            "showscale": False,
            "contours": {"x": {"highlight": False}, "y": {"highlight": False}}
            | {"z": {"show": True, "color": NEUTRAL, "width": 1, "highlight": False}},
            "hovertemplate": "%{x:.2f}, %{y:.2f}<br>loss %{z:.3g}<extra></extra>",
        }
    ]
    for name, path in paths.items():
        style, lines[name] = OPTIMIZER_STYLES[name], len(traces)
        traces.append(
            {"type": "scatter3d", "mode": "lines", "name": style.title}
            | film.grow(len(traces), ground.lift(path.positions))
            | {"line": {"color": style.color, "width": 7}, "legendgroup": name}
            | {"hoverinfo": "skip"}
        )
    if focus is not None and focus in paths:
        for overlay in Moves(ground, paths[focus], config.rho).overlays():
            if "shape" in overlay:
                overlay["rows"] = paths[focus].positions[:, None, :] + overlay.pop("shape")
            last = film.rows(len(traces), overlay.pop("rows"), ground)
            overlay.pop("marker", None)
            line = overlay["line"] | {"width": 5}
            traces.append(
                {"type": "scatter3d", "hoverinfo": "skip"}
                | overlay
                | {"line": line, "mode": "lines"}
                | last
            )
    for name, line in lines.items():
        style = OPTIMIZER_STYLES[name]
        last = film.follow(len(traces), line)
        marker = {"symbol": MARKS[style.symbol], "size": 6, "color": style.color}
        traces.append(
            {"type": "scatter3d", "mode": "markers", "name": style.title, "legendgroup": name}
            | {"marker": marker | {"line": {"color": "#ffffff", "width": 1}}}
            | {"showlegend": False, "hoverinfo": "skip"}
            | last
        )
    info = LANDSCAPES[config.landscape]
    aspect = (info.y_range[1] - info.y_range[0]) / (info.x_range[1] - info.x_range[0])
    layout = _layout(config, paths, film) | {
        "scene": {
            "xaxis": {"title": "x", "range": list(info.x_range), "nticks": 5},
            "yaxis": {"title": "y", "range": list(info.y_range), "nticks": 5},
            "zaxis": {"title": "loss", "nticks": 5}
            | {"range": [ground.low, 1.03 * ground.high - 0.03 * ground.low]},
            "aspectmode": "manual",
            "aspectratio": {"x": 1.2, "y": 1.2 * aspect, "z": 0.7},
            "camera": CAMERA,
        },
        "margin": {"l": 0, "r": 0, "t": 40, "b": 0},
    }
    return go.Figure(data=traces, layout=layout)


class Film:
    """Collects what moves; see ``assets/plotly_clock.js``."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.last = max((path.steps for path in paths.values()), default=0)
        self._grow: dict[int, dict[str, Any]] = {}
        self._follow: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._now: list[int] = []

    def grow(self, trace: int, points: Any) -> dict[str, Any]:
        """A trace that shows its first k + 1 points at step k.

        Args:
            trace: Its number.
            points: (n + 1, 2 or 3).

        Returns:
            The points as columns.
        """
        columns = dict(zip("xyz", float32(points).T, strict=False))
        self._grow[trace] = columns
        return columns

    def follow(self, trace: int, line: int, shape: Any = POINT) -> dict[str, Any]:
        """A trace that keeps its shape around the last point shown of a line that grows.

        Args:
            trace: Its number.
            line: The line's.
            shape: Points (m, 2 or 3) relative to the line's.

        Returns:
            The columns at the last step.
        """
        points = self._grow[line]
        columns = dict(zip(points, float32(shape).T, strict=False))
        self._follow[str(trace)] = {"line": line} | columns
        return {name: points[name][-1] + value for name, value in columns.items()}

    def now(self, trace: int) -> dict[str, Any]:
        """An upright at the present step, on an axis from 0 to 1."""
        self._now.append(trace)
        return {"x": [self.last] * 2, "y": [0, 1]}

    def rows(self, trace: int, rows: Any, ground: Ground | None = None) -> dict[str, Any]:
        """A trace that shows row k at step k.

        Args:
            trace: Its number.
            rows: Points (n + 1, m, 2); a path that ended early stays there.
            ground: Lifts the points onto its surface.

        Returns:
            The last row, with which the trace is first drawn.
        """
        missing = self.last + 1 - len(rows)
        if missing > 0:
            rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
        if ground is not None:
            rows = ground.lift(rows)
        columns = {name: float32(rows[..., i]) for i, name in enumerate("xyz"[: rows.shape[-1]])}
        self._rows[str(trace)] = columns
        return {name: value[-1] for name, value in columns.items()}

    @property
    def meta(self) -> dict[str, Any]:
        """For ``layout.meta["film"]``."""
        moving = {"grow": [*self._grow], "follow": self._follow, "rows": self._rows}
        return {"last": self.last, "label": "step", "now": self._now} | moving


def _contour(ground: Ground) -> dict[str, Any]:
    size = (ground.high - ground.low) / CONTOURS
    return {
        "type": "contour",
        "x": float32(ground.x),
        "y": float32(ground.y),
        "z": float32(ground.cut),
        "colorscale": GREYS,
        "zmin": ground.low,
        "zmax": ground.high,
        "contours": {"start": ground.low + size / 2, "end": ground.high, "size": size},
        "line": {"width": 0.8, "color": "rgba(128,128,128,0.75)"},
        "showscale": False,
        "hovertemplate": "%{x:.2f}, %{y:.2f}<br>loss %{z:.3g}<extra></extra>",
    }


def _start(config: PlaygroundConfig) -> dict[str, Any]:
    x, y = config.start
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [y],
        "name": "start",
        "meta": "start",
        "marker": START,
        "hovertemplate": "start<extra></extra>",
    }


def _layout(config: PlaygroundConfig, paths: Mapping[str, Path], film: Film) -> dict[str, Any]:
    info = LANDSCAPES[config.landscape]
    ends = [
        f"{OPTIMIZER_STYLES[name].title} "
        + ("diverges" if path.diverged else "ends at {:.2f}, {:.2f}".format(*path.end))
        for name, path in paths.items()
    ]
    start = "{:.2f}, {:.2f}".format(*config.start)
    return {
        "template": "none",
        "meta": {
            "alt": f"{info.title}: paths of {len(paths)} optimizers from {start}. "
            + "; ".join(ends)
            + ".",
            "film": film.meta,
        },
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "showlegend": True,
    }
