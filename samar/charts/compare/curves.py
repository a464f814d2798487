"""Several runs laid over each other: one quantity, one colour and dash per run or group."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.smoothing import Floats, exponential_moving_average
from samar.charts.theme import OPTIMIZER_STYLES, panel
from samar.charts.training import SMOOTHING_POINTS, X_TITLES, curve
from samar.compare.groups import Curve, mean_curve
from samar.compare.metrics import Metric

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
LEGEND_LINE, LEGEND_WIDTH, LEGEND_MARK = 22, 38, 8  # pixels, characters, characters
BELOW = {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top", "xanchor": "left"}
"""A legend under the chart, where a long one takes nothing from the curves' width."""


@dataclass(frozen=True)
class Line:
    """One run, or several that differ by seed only.

    Attributes:
        title: for the legend.
        optimizer: key of :data:`samar.charts.theme.OPTIMIZER_STYLES`.
        curves: one per run; runs that recorded nothing of the kind are left out.
    """

    title: str
    optimizer: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Style:
    """How a line looks."""

    color: str
    dash: str
    symbol: str
    width: float = 2.0


def styles_of(optimizers: Sequence[str]) -> list[Style]:
    """A look for each line: the optimizer's own colour, and a dash that tells its lines apart.

    Lines of one single optimizer have nothing to tell by its colour: they take all colours in turn.
    Where all dashes are taken they come once more, wider.
    """
    if len(set(optimizers)) == 1 and len(optimizers) > 1:
        turns = [divmod(number, len(PALETTE)) for number in range(len(optimizers))]
        return [
            Style(
                PALETTE[color],
                DASHES[(color + turn) % 6],
                SYMBOLS[(color + turn) % 6],
                width=2.0 + turn // 6,
            )
            for turn, color in turns
        ]
    styles = []
    for number, name in enumerate(optimizers):
        own = OPTIMIZER_STYLES[name]
        turn, place = divmod(list(optimizers[:number]).count(name), len(DASHES))
        dashes, symbols = (
            (first, *(other for other in many if other != first))
            for first, many in ((own.dash, DASHES), (own.symbol, SYMBOLS))
        )
        styles.append(Style(own.color, dashes[place], symbols[place], width=2.0 + turn))
    return styles


def overlay_figure(
    lines: Sequence[Line],
    metric: Metric,
    *,
    x: str = "step",
    log: bool = False,
    smoothing: float = 0.0,
) -> go.Figure:
    """One quantity of several runs over steps, gradient evaluations or seconds.

    Args:
        lines: what to lay over each other; of several curves mean ± one standard deviation.
        metric: what the curves show.
        x: key of :data:`samar.charts.training.X_TITLES`.
        log: logarithmic vertical axis, where the metric has a use for it.
        smoothing: weight of the moving average of each run in [0, 1), for quantities of single
            steps; 0 draws them as they are.
    """
    traces: list[dict[str, Any]] = []
    log = log and metric.log
    empty = f"None of these runs recorded this: {metric.title.lower()}."
    for line, style in zip(lines, styles_of([line.optimizer for line in lines]), strict=True):
        curves = [each for each in line.curves if each.y.size]
        if not curves:
            continue
        smooth = smoothing if metric.of == "steps" else 0.0
        name = html.escape(line.title)
        marks = metric.of != "steps"
        drawn = [_smoothed(each, smooth, log) for each in curves]
        drawn = [each for each in drawn if each.y.size and not (log and each.y.max() <= 0)]
        if not drawn:
            empty = "A logarithmic axis has no place for this: no value is above 0."
            continue
        if smooth and len(curves) == 1:
            traces += _drawn(curves[0].x, curves[0].y, name, style, marks, faint=True)
        if len(drawn) == 1:
            traces += _drawn(drawn[0].x, drawn[0].y, name, style, marks)
        else:
            traces += _mean(drawn, name, style, marks, log)
    x_title = X_TITLES[x]
    titles = ", ".join(line.title for line in lines)
    scale: dict[str, Any] = {"type": "log", "nticks": 5} if log else {"type": "linear"}
    figure = panel(
        traces,
        [],
        title=metric.title,
        alt=f"{metric.title} over {x_title} of {titles}.",
        x_axis={"title": x_title, "unifiedhovertitle": {"text": f"{x_title} %{{x:,.6~r}}"}},
        y_axis={"title": metric.unit} | scale,
        empty=empty,
    )
    figure.update_layout(legend=BELOW, margin={"t": 36})
    return figure


def overlay_height(lines: Sequence[Line]) -> int:
    """Pixels for the chart and its legend."""
    width = sum(LEGEND_MARK + len(line.title) for line in lines)
    return 300 + LEGEND_LINE * min(len(lines), math.ceil(width / LEGEND_WIDTH))


def _smoothed(curve: Curve, weight: float, log: bool) -> Curve:
    """Averaged per run and before runs are averaged; geometrically on a logarithmic axis."""
    if weight == 0:
        return curve
    weight **= min(1.0, SMOOTHING_POINTS / curve.y.size)
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            y = np.exp(exponential_moving_average(np.log(curve.y), weight))
    else:
        y = exponential_moving_average(curve.y, weight)
    kept = np.isfinite(y)
    return Curve(curve.step[kept], curve.x[kept], y[kept])


def _drawn(
    x: Floats, y: Floats, name: str, style: Style, marks: bool, *, faint: bool = False
) -> list[dict[str, Any]]:
    dash, width = ("solid", 1) if faint else (style.dash, style.width)
    line: dict[str, Any] = {"color": style.color, "dash": dash, "width": width}
    marker = {"symbol": style.symbol, "size": 7} if marks else None
    more: dict[str, Any] = {"opacity": 0.3, "showlegend": False} if faint else {}
    if faint:
        more["hoverinfo"] = "skip"
        more["hovertemplate"] = None
    return curve(x, y, name, "%{y:.5~g}", line, marker, legendgroup=name, **more)


def _mean(
    curves: Sequence[Curve], name: str, style: Style, marks: bool, log: bool
) -> list[dict[str, Any]]:
    """The mean with a band of one standard deviation to either side, wherever it can be drawn."""
    found = mean_curve(curves)
    low, high = found.mean - found.std, found.mean + found.std
    banded = np.flatnonzero(np.isfinite(found.std) & ((low > 0) | (not log)))
    stretches = np.split(banded, np.flatnonzero(np.diff(banded) > 1) + 1)
    x, y = (
        np.concatenate([part for s in stretches for part in (there[s], back[s][::-1], [np.nan])])
        for there, back in ((found.x, found.x), (high, low))
    )
    band = {
        "type": "scatter",
        "x": x[:-1].astype(np.float32),
        "y": y[:-1].astype(np.float32),
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": _faint(style.color),
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": name,
    }
    line = {"color": style.color, "dash": style.dash, "width": style.width}
    mean = {
        "type": "scatter",
        "x": found.x.astype(np.float32),
        "y": found.mean.astype(np.float32),
        "customdata": np.stack([found.std, found.n], 1).tolist(),
        "name": name,
        "legendgroup": name,
        "mode": "lines+markers" if marks else "lines",
        "line": line,
        "marker": {"symbol": style.symbol, "size": 7},
        "hovertemplate": "%{y:.5~g} ± %{customdata[0]:.2~g} (%{customdata[1]} runs)",
    }
    return [band, mean] if banded.size else [mean]


def _faint(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
