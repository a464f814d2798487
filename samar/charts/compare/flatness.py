"""Whether flatness went with generalization: the models, and a rank correlation per measure."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.compare.curves import BELOW
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, OptimizerStyle, panel
from samar.compare.flatness import Association, FlatnessReport
from samar.curvature.catalog import MEASURES

IMPORTED = OptimizerStyle("imported", NEUTRAL, "solid", "circle")
TARGETS = {
    "gap": ("generalization gap (points)", "Gap"),
    "test_accuracy": ("test accuracy (%)", "Test accuracy"),
}


def flatness_scatter(report: FlatnessReport, measure: str, target: str) -> go.Figure:
    """Gap or test accuracy against one sharpness measure, a mark per model.

    Args:
        measure: key of :data:`samar.curvature.catalog.MEASURES`.
        target: key of :data:`TARGETS`.
    """
    info = MEASURES[measure]
    label, words = TARGETS[target]
    found: Association = (report.gap if target == "gap" else report.accuracy)[measure]
    known = [point for point in report.points if point.measures.get(measure) is not None]
    values = [point.measures[measure] for point in known]
    log = bool(values) and min(v for v in values if v is not None) > 0
    traces: list[dict[str, Any]] = []
    for name, style in (OPTIMIZER_STYLES | {"": IMPORTED}).items():
        own = [point for point in known if point.optimizer == name]
        if own:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": style.title,
                    "x": [point.measures[measure] for point in own],
                    "y": [100 * getattr(point, target) for point in own],
                    "text": [html.escape(point.title) for point in own],
                    "marker": {"color": style.color, "symbol": style.symbol, "size": 10},
                    "hovertemplate": "%{text}<br>%{x:.4~g}, %{y:.2f}<extra></extra>",
                }
            )
    told = f"τ {found.tau:+.2f} ({found.low:+.2f} to {found.high:+.2f})"
    told = "" if math.isnan(found.tau) else told
    figure = panel(
        traces,
        [],
        title=f"{words}: {told}" if told else words,
        alt=f"{words} over {info.title} of {len(known)} networks. {told}",
        x_axis={"title": html.escape(info.title), "type": "log" if log else "linear", "nticks": 6},
        y_axis={"title": label},
        empty="None of these networks has this measure.",
    )
    figure.update_layout(hovermode="closest", legend=BELOW, margin={"t": 36})
    return figure


def association_figure(
    report: FlatnessReport, measures: Sequence[str] = tuple(MEASURES)
) -> go.Figure:
    """Kendall's τ of every measure with gap and accuracy, with its bootstrap interval.

    Left of zero for the gap, or right of it for the accuracy, flatter did not help.
    """
    titles = [html.escape(MEASURES[name].title) for name in measures]
    place = np.arange(len(measures), dtype=float)[::-1]
    traces: list[dict[str, Any]] = []
    looks = (
        ("with the gap", report.gap, "#0072B2", "circle", 0.14),
        ("with test accuracy", report.accuracy, "#D55E00", "diamond-open", -0.14),
    )
    for name, found, color, symbol, shift in looks:
        each = [found[measure] for measure in measures]
        known = np.array([np.isfinite(one.tau) for one in each])
        if not known.any():
            continue
        tau, low, high = (
            np.array([getattr(one, field) for one in each])[known]
            for field in ("tau", "low", "high")
        )
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": tau,
                "y": (place + shift)[known],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": high - tau,
                    "arrayminus": tau - low,
                    "color": color,
                    "thickness": 1.5,
                    "width": 4,
                },
                "marker": {"color": color, "symbol": symbol, "size": 9},
                "text": [title for title, yes in zip(titles, known, strict=True) if yes],
                "customdata": np.stack([low, high], 1),
                "hovertemplate": "%{text}: τ %{x:+.2f}, %{customdata[0]:+.2f} to "
                "%{customdata[1]:+.2f}<extra></extra>",
            }
        )
    zero = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1}
    figure = panel(
        traces,
        [zero | {"line": {"width": 1}, "layer": "below"}],
        title="Kendall's τ with 95 % interval",
        alt="Rank correlation of every sharpness measure with gap and test accuracy.",
        x_axis={"title": "τ", "range": [-1.08, 1.08]},
        y_axis={
            "title": "",
            "tickvals": place.tolist(),
            "ticktext": titles,
            "range": [-0.6, len(measures) - 0.4],
        },
        empty="Measure at least two networks first.",
    )
    figure.update_layout(hovermode="closest", legend=BELOW, margin={"l": 8, "t": 36})
    return figure
