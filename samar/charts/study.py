"""The study's results: test accuracy arm by arm, and over the radius ρ."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from samar.charts.sweeps import curve_trace
from samar.charts.theme import OPTIMIZER_STYLES, panel
from samar.sweeps.study.protocol import ARMS
from samar.sweeps.study.rows import Row
from samar.sweeps.study.summary import Curve, accuracy, results

CURVE_STYLES = {"sam": "sam", "samar_rho": "samar"}


def arms_figure(rows: Sequence[Row], setting: str) -> go.Figure:
    """Every final run of a setting as a dot, and each arm's mean ± standard deviation.

    Args:
        rows: of the study, any settings and phases.
        setting: a key of `protocol.TASKS`.
    """
    found = results(rows, setting)
    names = [result.title for result in reversed(found)]
    traces: list[dict[str, Any]] = []
    for result in found:
        style = OPTIMIZER_STYLES[ARMS[result.arm].changes["optimizer"]]
        runs = [
            row
            for row in rows
            if (row.setting, row.phase, row.arm) == (setting, "final", result.arm)
        ]
        traces.append(
            {
                "type": "scatter",
                "x": [100 * accuracy(row) for row in runs],
                "y": [result.title] * len(runs),
                "mode": "markers",
                "marker": {
                    "color": style.color,
                    "symbol": style.symbol,
                    "size": 7,
                    "opacity": 0.45,
                },
                "customdata": [row.seed for row in runs],
                "hovertemplate": "seed %{customdata}: %{x:.2f} %<extra></extra>",
                "showlegend": False,
            }
        )
        traces.append(
            {
                "type": "scatter",
                "x": [100 * result.test.mean],
                "y": [result.title],
                "mode": "markers",
                "marker": {"color": style.color, "symbol": "line-ns-open", "size": 18},
                "error_x": {
                    "type": "data",
                    "array": [100 * result.test.std],
                    "color": style.color,
                    "thickness": 1.5,
                },
                "hovertemplate": "mean %{x:.2f} %<extra></extra>",
                "showlegend": False,
            }
        )
    best = max(found, key=lambda result: result.test.mean) if found else None
    figure = panel(
        traces,
        [],
        title="Test accuracy of the last epoch",
        alt="Test accuracy of each arm: one mark a seed, the mean with its standard deviation. "
        + (f"Best mean: {best.title}, {100 * best.test.mean:.2f} %." if best else ""),
        x_axis={"title": "test accuracy, %"},
        y_axis={
            "title": "",
            "categoryorder": "array",
            "categoryarray": names,
            "automargin": True,
            "type": "category",
        },
        empty="No final runs of this setting yet.",
    )
    figure.update_layout(hovermode="closest")
    return figure


def curve_figure(curves: Sequence[Curve], title: str) -> go.Figure:
    """Test accuracy over the radius: means with standard deviations.

    Args:
        curves: of one setting.
        title: the setting's.
    """
    traces = [
        curve_trace(
            each.title, CURVE_STYLES[each.arm], each.rho, each.test, [each.title] * len(each.rho)
        )
        for each in curves
    ]
    told = "; ".join(
        f"{each.title} from {100 * min(means):.1f} to {100 * max(means):.1f} %"
        for each in curves
        if (means := [found.mean for found in each.test])
    )
    radii = sorted({rho for each in curves for rho in each.rho})
    return panel(
        traces,
        [],
        title=title,
        alt=f"Test accuracy over the radius ρ. {told}.",
        x_axis={
            "title": "radius ρ",
            "type": "log",
            "tickmode": "array",
            "tickvals": radii,
            "ticktext": [f"{rho:g}" for rho in radii],
        },
        y_axis={"title": "test accuracy, %"},
        empty="No runs over ρ yet.",
    ).update_layout(hovermode="closest")
