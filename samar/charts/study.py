"""The study's results: test accuracy arm by arm, and over the radius ρ."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from samar.charts.sweeps import curve_trace
from samar.charts.theme import OPTIMIZER_STYLES, panel
from samar.sweeps.statistics import mean_std


def arms_figure(runs: pd.DataFrame) -> go.Figure:
    """Every final run of a setting as a dot, and each arm's mean ± standard deviation.

    Args:
        runs: rows of the study with the `title` of their arm, of one setting.
    """
    traces: list[dict[str, Any]] = []
    means: dict[str, float] = {}
    for title, arm in runs.groupby("title", sort=False):
        style = OPTIMIZER_STYLES[arm.optimizer.iloc[0]]
        test = mean_std(100 * arm.test_accuracy)
        means[str(title)] = test.mean
        common = {"type": "scatter", "mode": "markers", "showlegend": False}
        traces.append(
            common
            | {
                "x": list(100 * arm.test_accuracy),
                "y": [title] * len(arm),
                "marker": {
                    "color": style.color,
                    "symbol": style.symbol,
                    "size": 7,
                    "opacity": 0.45,
                },
                "customdata": list(arm.seed),
                "hovertemplate": "seed %{customdata}: %{x:.2f} %<extra></extra>",
            }
        )
        bar = {"type": "data", "array": [test.std], "color": style.color, "thickness": 1.5}
        traces.append(
            common
            | {
                "x": [test.mean],
                "y": [title],
                "marker": {"color": style.color, "symbol": "line-ns-open", "size": 18},
                "error_x": bar,
                "hovertemplate": "mean %{x:.2f} %<extra></extra>",
            }
        )
    best = max(means, key=lambda title: means[title])
    figure = panel(
        traces,
        [],
        title="Test accuracy of the last epoch",
        alt="Test accuracy of each arm: one mark a seed, the mean with its standard deviation. "
        f"Best mean: {best}, {means[best]:.2f} %.",
        x_axis={"title": "test accuracy, %"},
        y_axis={
            "title": "",
            "categoryorder": "array",
            "categoryarray": list(means)[::-1],
            "automargin": True,
            "type": "category",
        },
        empty="",
    )
    return figure.update_layout(hovermode="closest")


def rho_figure(trials: pd.DataFrame, title: str) -> go.Figure:
    """Test accuracy over the radius, a curve for each optimizer.

    Args:
        trials: rows of the study, of one setting.
        title: the setting's.
    """
    traces, ranges = [], []
    for optimizer, rows in trials.groupby("optimizer"):
        name = str(optimizer).upper()
        radii = rows.groupby("rho").test_accuracy
        tests = [mean_std(values) for _, values in radii]
        traces.append(
            curve_trace(name, str(optimizer), list(radii.groups), tests, [name] * len(tests))
        )
        means = [100 * test.mean for test in tests]
        ranges.append(f"{name} from {min(means):.1f} to {max(means):.1f} %")
    ticks = sorted(set(trials.rho))
    return panel(
        traces,
        [],
        title=title,
        alt=f"Test accuracy over the radius ρ. {'; '.join(ranges)}.",
        x_axis={
            "title": "radius ρ",
            "type": "log",
            "tickmode": "array",
            "tickvals": ticks,
            "ticktext": [f"{rho:g}" for rho in ticks],
        },
        y_axis={"title": "test accuracy, %"},
        empty="",
    ).update_layout(hovermode="closest")
