"""The playground's figures: a loss of two parameters from above and from the side, what descends on
it, and λ, the sharpness ratio and the loss in the same time.

Only traces that move carry what they need for it (``layout.meta["film"]``, see
``components/plotly_clock.js``), so that a slider's answer stays small and the browser plays it
without a server.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.scale import COLORS, float32
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.playground.catalog import LANDSCAPES
from samar.playground.losses import build_loss
from samar.playground.paths import Path
from samar.playground.settings import PlaygroundSettings

POINTS = (81, 55)
"""Of the grid, from left to right and from bottom to top."""

GREYS = [[0, "rgba(128,128,128,0)"], [1, "rgba(128,128,128,0.45)"]]
CONTOURS = 22
MARKS = {"square": "square", "triangle-up": "diamond", "cross": "cross", "diamond": "circle"}
"""Markers in three dimensions, where plotly has fewer."""

POINT = np.zeros((1, 3))
"""A shape that is nothing but the point it stands on."""

RIM = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 25)), np.sin(a)], axis=-1)
ARROW = 0.16
"""Length of the longest gradient's arrow, in widths of the plane."""

AHEAD = "#9467BD"
"""The gradient at the perturbed point; no optimizer has this colour."""

CAMERA = {"eye": {"x": -0.2, "y": -1.0, "z": 1.35}, "center": {"x": 0.02, "y": 0, "z": -0.18}}
START = {"symbol": "x", "size": 12, "color": "#ffffff", "line": {"color": "#000000", "width": 2}}

FLOOR = 1e-4
"""Smaller losses are drawn here; a logarithmic axis has no end."""

ROWS = ((0.72, 1.0), (0.37, 0.64), (0.0, 0.29))
"""Domains of λ, ratio and loss, from the top."""


class Ground:
    """The loss on a grid, cut off at the top so that its valleys fill the figure.

    Attributes:
        x, y: Axes.
        value: f, (len(y), len(x)).
        low, high: Lowest and highest value drawn.
        cut: ``value`` within these.
    """

    def __init__(self, settings: PlaygroundSettings) -> None:
        info, self.loss = LANDSCAPES[settings.landscape], build_loss(settings)
        self.x = np.linspace(*info.x_range, POINTS[0])
        self.y = np.linspace(*info.y_range, POINTS[1])
        self.value = self.loss.value(*np.meshgrid(self.x, self.y))
        self.low = float(self.value.min())
        start = float(self.loss.value(*settings.start))
        usual = float(np.quantile(self.value, 0.9))
        self.high = max(min(max(usual, 1.1 * start), float(self.value.max())), self.low + 1e-6)
        self.cut = np.clip(self.value, self.low, self.high)
        self.width = info.x_range[1] - info.x_range[0]

    def lift(self, points: Any) -> Any:
        """(…, 2) points with the height of the surface under them as a third coordinate."""
        heights = self.loss.value(points[..., 0], points[..., 1])
        top = 0.012 * (self.high - self.low)
        return np.concatenate([points, np.minimum(heights, self.high)[..., None] + top], axis=-1)


class Motion:
    """Collects what moves; see ``components/plotly_clock.js``."""

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


def plane(settings: PlaygroundSettings, paths: Mapping[str, Path], focus: str | None) -> go.Figure:
    """Contours from above, with every path.

    Args:
        settings: Which loss; its start is marked.
        paths: As :func:`samar.playground.descent.descend` gives them.
        focus: Of which optimizer ρ-ball, ε and gradients are drawn; None for none.
    """
    ground, info, motion = Ground(settings), LANDSCAPES[settings.landscape], Motion(paths)
    traces = [_contour(ground), _start(settings)]
    lines = {}
    for name, path in paths.items():
        style, lines[name] = OPTIMIZER_STYLES[name], len(traces)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "line": {"color": style.color, "dash": style.dash, "width": 2.5},
                "name": style.title,
                "legendgroup": name,
                "hovertemplate": f"{style.title}<br>%{{x:.2f}}, %{{y:.2f}}<extra></extra>",
            }
            | motion.grow(len(traces), path.positions)
        )
    if focus is not None and focus in paths:
        for overlay in _overlays(ground, paths[focus], settings):
            if "shape" in overlay:
                last = motion.follow(len(traces), lines[focus], overlay.pop("shape"))
            else:
                last = motion.rows(len(traces), overlay.pop("rows"))
            flat = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
            traces.append(flat | overlay | last)
    for name, line in lines.items():
        mark = {"symbol": OPTIMIZER_STYLES[name].symbol, "size": 13}
        head = {"type": "scatter"} | _head(name, mark, 1.5)
        traces.append(head | motion.follow(len(traces), line))
    bare = {"zeroline": False, "showgrid": False, "constrain": "domain"}
    bare["uirevision"] = settings.landscape
    layout = _layout(settings, paths, motion) | {
        "xaxis": {"range": list(info.x_range), "title": "x"} | bare,
        "yaxis": {"range": list(info.y_range), "title": "y"}
        | {"scaleanchor": "x", "constraintoward": "top"}
        | bare,
        "dragmode": False,
        "hovermode": "closest",
        "margin": {"l": 40, "r": 8, "t": 8, "b": 40},
    }
    return go.Figure(data=traces, layout=layout)


def surface(
    settings: PlaygroundSettings, paths: Mapping[str, Path], focus: str | None
) -> go.Figure:
    """The same in three dimensions; heights are cut off at the top of the range."""
    ground, info, motion = Ground(settings), LANDSCAPES[settings.landscape], Motion(paths)
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
    in_space = {"type": "scatter3d", "mode": "lines", "hoverinfo": "skip"}
    lines = {}
    for name, path in paths.items():
        style, lines[name] = OPTIMIZER_STYLES[name], len(traces)
        line = {"line": {"color": style.color, "width": 7}, "legendgroup": name}
        points = motion.grow(len(traces), ground.lift(path.positions))
        traces.append(in_space | {"name": style.title} | line | points)
    if focus is not None and focus in paths:
        for overlay in _overlays(ground, paths[focus], settings):
            rows = overlay.get("rows")
            if rows is None:
                rows = paths[focus].positions[:, None, :] + overlay["shape"]
            line = {"line": overlay["line"] | {"width": 5}, "name": overlay["name"]}
            traces.append(in_space | line | motion.rows(len(traces), rows, ground))
    for name, line_number in lines.items():
        mark = {"symbol": MARKS.get(OPTIMIZER_STYLES[name].symbol, "circle-open"), "size": 6}
        head = {"type": "scatter3d"} | _head(name, mark, 1)
        traces.append(head | motion.follow(len(traces), line_number))
    aspect = (info.y_range[1] - info.y_range[0]) / (info.x_range[1] - info.x_range[0])
    layout = _layout(settings, paths, motion) | {
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


def panels(settings: PlaygroundSettings, paths: Mapping[str, Path]) -> go.Figure:
    """λ, ratio and loss over the step, with a line at the present one."""
    motion = Motion(paths)
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    samar = paths.get("samar")
    if samar is not None and not samar.steps:
        samar = None
    if samar is not None:
        steps = np.arange(samar.steps, dtype=np.float32)
        for number, values in ((1, samar.lam), (2, np.clip(samar.ratio, 1e-3, 1e3))):
            traces.append(_curve("samar", steps, values, number))
        shapes.append(_level(1.0, 1, "as SAM"))
        if settings.applies("lam_max"):
            shapes.append(_level(settings.lam_max, 1, "ceiling"))
        if settings.applies("lam_min") and settings.lam_min:
            shapes.append(_level(settings.lam_min, 1))
        tau = settings.rule_constants.get("tau")
        shapes += [_level(level, 2) for level in ((1.0,) if tau is None else (1 - tau, 1 + tau))]
    # A logarithmic axis shows no negative loss; where there are any, heights above the lowest.
    lowest = min((float(path.loss.min()) for path in paths.values()), default=0.0)
    floor = lowest if lowest < -FLOOR else 0.0
    for name, path in paths.items():
        steps = np.arange(len(path.loss), dtype=np.float32)
        heights = np.maximum(path.loss - floor, FLOOR)
        traces.append(_curve(name, steps, heights, 3, path.loss if floor else None))
    for number in (1, 2, 3):
        traces.append(
            {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
            | {"line": {"color": NEUTRAL, "width": 1.5}}
            | {"xaxis": f"x{number}", "yaxis": f"y{number + 3}"}
            | motion.now(len(traces))
        )
    ended = f"λ ends at {samar.lam[-1]:.2f}." if samar is not None else ""
    alt = f"Strength λ, sharpness ratio and loss of each optimizer over the step. {ended}"
    loss_title = "loss above the lowest reached" if floor else "loss"
    titles = ("strength λ of SAMAR", "sharpness ratio r of SAMAR", loss_title)
    layout: dict[str, Any] = {
        "template": "none",
        "meta": {"alt": alt, "film": motion.meta},
        "shapes": shapes,
        "showlegend": False,
        "hovermode": "x",
        "margin": {"l": 52, "r": 8, "t": 26, "b": 36},
        "annotations": [_title(text, top) for text, (_, top) in zip(titles, ROWS, strict=True)],
    }
    for number, domain in enumerate(ROWS, 1):
        layout[f"xaxis{number}"] = {
            "range": [0, motion.last],
            "anchor": f"y{number}",
            "showticklabels": number == 3,
            "title": "step" if number == 3 else "",
            "matches": "x" if number > 1 else None,
            "zeroline": False,
        }
        drawn = [trace["y"] for trace in traces if trace["yaxis"] == f"y{number}"]
        layout[f"yaxis{number}"] = {
            "domain": list(domain),
            "anchor": f"x{number}",
            "zeroline": False,
            "nticks": 5,
        } | (_log_ticks(drawn) if number > 1 else {})
        # The line at the present step spans its panel, whatever the panel's range.
        layout[f"yaxis{number + 3}"] = {
            "overlaying": f"y{number}",
            "range": [0, 1],
            "visible": False,
            "fixedrange": True,
            "tickmode": "auto",
        }
    if samar is not None:
        top = max(float(np.nanmax(samar.lam)), 1.0)
        layout["yaxis1"]["range"] = [0, 1.12 * max(top, min(settings.lam_max, 1.5 * top))]
    return go.Figure(data=traces, layout=layout)


def _overlays(ground: Ground, path: Path, settings: PlaygroundSettings) -> list[dict[str, Any]]:
    """One optimizer's ρ-ball, ε and gradients at every step, as traces without type.

    Each has its ``rows`` of points (n + 1, m, 2), or the ``shape`` (m, 2) that it keeps around the
    path's point. After the last step there is no gradient: the last one's stays.
    """
    if path.steps == 0:
        return []
    color, at = OPTIMIZER_STYLES[path.optimizer].color, path.positions[:-1]
    up = at + path.perturbations
    both = np.concatenate([path.gradients, path.perturbed_gradients])
    longest = float(np.nanmax(np.hypot(both[:, 0], both[:, 1]))) or 1.0

    def downhill(gradients: Any) -> Any:
        # The length grows with the square root, or the late arrows would be invisible.
        size = np.hypot(gradients[:, 0], gradients[:, 1])[:, None]
        scale = ARROW * ground.width / np.sqrt(longest)
        return -gradients / np.sqrt(np.maximum(size, 1e-12)) * scale

    def arrow(
        name: str, tails: Any, shafts: Any, color: str, width: int = 3, head: str = "arrow"
    ) -> dict[str, Any]:
        rows = np.stack([tails, tails + shafts], axis=1)
        marker = {"symbol": head, "angleref": "previous", "size": [0, 14], "color": color}
        return {
            "name": name,
            "rows": np.concatenate([rows, rows[-1:]]),
            "mode": "lines+markers",
            "line": {"color": color, "width": width},
            "marker": marker,
        }

    here = arrow("−gradient here", at, downhill(path.gradients), NEUTRAL)
    if np.isnan(path.perturbations).all():
        return [here]
    rho, dashed = settings.rho, {"color": color, "width": 1.5, "dash": "dash"}
    ball = {"shape": rho * RIM}
    if settings.adaptive:  # measured in the size of each weight
        points = np.concatenate([at, at[-1:]])[:, None, :]
        ball = {"rows": points + rho * np.abs(points) * RIM}
    return [
        {"name": f"ρ = {rho:g}", "line": dashed} | ball,
        arrow("ε, uphill", at, path.perturbations, color, 2, "arrow-open"),
        here,
        arrow("−gradient at x+ε", up, downhill(path.perturbed_gradients), AHEAD),
    ]


def _head(name: str, mark: dict[str, Any], rim: float) -> dict[str, Any]:
    style = OPTIMIZER_STYLES[name]
    return {
        "mode": "markers",
        "name": style.title,
        "legendgroup": name,
        "marker": mark | {"color": style.color, "line": {"color": "#ffffff", "width": rim}},
        "showlegend": False,
        "hoverinfo": "skip",
    }


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


def _start(settings: PlaygroundSettings) -> dict[str, Any]:
    x, y = settings.start
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


def _layout(
    settings: PlaygroundSettings, paths: Mapping[str, Path], motion: Motion
) -> dict[str, Any]:
    title = LANDSCAPES[settings.landscape].title
    ends = "; ".join(
        f"{OPTIMIZER_STYLES[name].title} "
        + ("diverges" if path.diverged else "ends at {:.2f}, {:.2f}".format(*path.end))
        for name, path in paths.items()
    )
    start = "{:.2f}, {:.2f}".format(*settings.start)
    alt = f"{title}: paths of {len(paths)} optimizers from {start}. {ends}."
    return {
        "template": "none",
        "meta": {"alt": alt, "film": motion.meta},
        "legend": {"orientation": "h", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom"},
        "showlegend": True,
    }


def _curve(name: str, steps: Any, values: Any, number: int, told: Any = None) -> dict[str, Any]:
    """A line in a panel; ``told`` is shown under the pointer instead of the values drawn."""
    style = OPTIMIZER_STYLES[name]
    hover = "y" if told is None else "customdata"
    return {
        "type": "scatter",
        "mode": "lines",
        "x": steps,
        "y": float32(values),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "name": style.title,
        "line": {"color": style.color, "dash": style.dash, "width": 1.8},
        "hovertemplate": f"{style.title} %{{{hover}:.3g}}<extra></extra>",
    } | ({} if told is None else {"customdata": float32(told)})


def _log_ticks(columns: list[Any]) -> dict[str, Any]:
    """A logarithmic axis with few labels, written as plain numbers."""
    values = np.concatenate([np.ones(1), *(c[np.isfinite(c)] for c in columns)])
    low, high = int(np.floor(np.log10(values.min()))), int(np.ceil(np.log10(values.max())))
    decades = range(low, high + 1)
    mantissas = (1,) if len(decades) > 3 else (1, 2, 5)
    stride = 1 if len(decades) < 6 else 2
    ticks = [m * 10.0**d for d in decades if d % stride == 0 for m in mantissas]
    words = [f"{'≤ ' * (tick == FLOOR)}{tick:g}" for tick in ticks]
    return {"type": "log", "tickvals": ticks, "ticktext": words}


def _level(value: float, number: int, text: str = "") -> dict[str, Any]:
    label = {"text": text, "textposition": "start", "yanchor": "top", "font": {"size": 11}}
    return {
        "type": "line",
        "xref": "paper",
        "yref": f"y{number}",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
    } | ({"label": label} if text else {})


def _title(text: str, top: float) -> dict[str, Any]:
    place = {"x": 0, "y": top, "xref": "paper", "yref": "paper"}
    return {
        "text": f"<b>{text}</b>",
        "showarrow": False,
        "xanchor": "left",
        "yanchor": "bottom",
    } | place
