"""What a sweep showed: accuracy over two settings, over one, and paired differences."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, panel
from samar.sweeps.results import MEASURES, Difference, HeatMap, SettingResult
from samar.sweeps.statistics import MeanStd

EMPTY = "Waiting for the first run to finish."
UNCHOSEN = "Without held-out images there is nothing to show here."
FAINT = 0.5
MOST_TICKS = 8
"""Up to so many values, each gets its own tick."""


def heat_map_figure(
    heat: HeatMap,
    measure: str,
    *,
    x_title: str,
    y_title: str,
    best: SettingResult | None = None,
    done: bool = False,
) -> go.Figure:
    """Mean accuracy in percent over two settings, its deviation written below it.

    Args:
        measure: key of :data:`samar.sweeps.results.MEASURES`.
        best: the setting to frame.
        done: whether any run has finished.
    """
    found = [[getattr(cell, measure) if cell else None for cell in row] for row in heat.cells]
    z = np.array([[100 * s.mean if s else np.nan for s in row] for row in found])
    seen = bool(np.isfinite(z).any())
    trace = {
        "type": "heatmap",
        "x": list(heat.columns),
        "y": list(heat.rows),
        "z": z,
        "text": [[s.percent.replace(" ±", "<br>±") if s else "" for s in row] for row in found],
        "hovertext": [
            [html.escape(cell.label) if cell else "" for cell in row] for row in heat.cells
        ],
        "texttemplate": "%{text}",
        "hovertemplate": "%{hovertext}<br>%{text}<extra></extra>",
        "hoverongaps": False,
        "colorscale": "Cividis",
        "colorbar": {"title": {"text": "%", "side": "top"}, "thickness": 10, "outlinewidth": 0},
        "xgap": 2,
        "ygap": 2,
    }
    frames = [
        {
            "type": "rect",
            "x0": column - 0.5,
            "x1": column + 0.5,
            "y0": row - 0.5,
            "y1": row + 0.5,
            "line": {"color": OPTIMIZER_STYLES["samar"].color, "width": 3},
        }
        for row, cells in enumerate(heat.cells)
        for column, cell in enumerate(cells)
        if best is not None and cell is best
    ]
    title = f"{MEASURES[measure].capitalize()} over {x_title} and {y_title}"
    framed = "; the best by validation is framed" if frames else ""
    # Optimizers are read from the top, numbers rise upwards.
    down = {"autorange": "reversed"} if heat.y == "optimizer" else {}
    figure = panel(
        [trace] if seen else [],
        frames,
        title=MEASURES[measure].capitalize(),
        alt=f"{title}{framed}.",
        x_axis={"title": x_title, "type": "category", "showgrid": False},
        y_axis={"title": y_title, "type": "category", "showgrid": False, **down},
        empty=UNCHOSEN if done else EMPTY,
    )
    return figure.update_layout(hovermode="closest", margin={"t": 34, "b": 44})


def curve_figure(
    curves: Mapping[str, Sequence[SettingResult]],
    name: str,
    measure: str,
    *,
    title: str,
    log: bool,
    done: bool = False,
) -> go.Figure:
    """Mean accuracy in percent over one numeric setting, a curve per optimizer.

    Args:
        curves: from :func:`samar.sweeps.results.curves`; one without the setting becomes a
            horizontal line.
        name: the setting.
        log: whether its axis is logarithmic.
        done: whether any run has finished.
    """
    places = sorted({p.values[name] for points in curves.values() for p in points} - {None})
    traces = []
    for arm, points in curves.items() if places else ():  # a level needs places to lie between
        level = points[0].values[name] is None
        drawn = [points[0]] * len(places) if level else points
        first = next(a for a, ps in curves.items() if ps[0].optimizer == points[0].optimizer)
        x = places if level else [point.values[name] for point in points]
        found = [getattr(point, measure) for point in drawn]
        labels = [point.label for point in drawn]
        traces.append(
            curve_trace(
                arm, drawn[0].optimizer, x, found, labels, bars=not level, again=arm != first
            )
        )
    seen = any(np.isfinite(trace["y"]).any() for trace in traces)
    empty = f"Waiting for a run with {title} to finish." if curves else EMPTY
    if traces or (done and not curves):
        empty = UNCHOSEN
    ticks = {"tickmode": "array", "tickvals": places} if len(places) <= MOST_TICKS else {}
    figure = panel(
        traces if seen else (),
        (),
        title=f"{MEASURES[measure].capitalize()} over {title}",
        alt=f"{MEASURES[measure]} over {title} for each optimizer, with deviations over seeds.",
        x_axis={"title": title, "type": "log" if log else "linear", **ticks},
        y_axis={"title": "correct (%)"},
        empty=empty,
    )
    below = {"y": -0.2, "yanchor": "top"}
    return figure.update_layout(hovermode="closest", margin={"t": 34, "b": 44}, legend=below)


def curve_trace(
    name: str,
    optimizer: str,
    x: Sequence[float],
    found: Sequence[MeanStd],
    labels: Sequence[str],
    *,
    bars: bool = True,
    again: bool = False,
) -> dict[str, Any]:
    """One curve of means in percent with deviations.

    Args:
        labels: one for each point.
        bars: whether the points were measured at their x; else only their level is drawn.
        again: whether the optimizer has a curve already.
    """
    style = OPTIMIZER_STYLES[optimizer]
    deviations = [0 if math.isnan(s.std) else 100 * s.std for s in found]
    return {
        "type": "scatter",
        "mode": "lines+markers" if bars else "lines",
        "name": html.escape(name),
        "x": np.array(x, dtype=float),
        "y": np.array([100 * s.mean for s in found]),
        "error_y": {
            "type": "data",
            "array": np.array(deviations),
            "thickness": 1,
            "width": 3,
            "visible": bars,
        },
        "line": {"color": style.color, "dash": "longdash" if again else style.dash, "width": 2},
        "marker": {"symbol": style.symbol + "-open" * again, "size": 8, "color": style.color},
        "text": [
            f"{html.escape(label)} (n = {s.n})<br>{s.percent} %"
            for label, s in zip(labels, found, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def difference_figure(differences: Sequence[Difference], reference: str, measure: str) -> go.Figure:
    """Paired differences to a reference in percentage points, with intervals and each seed."""
    rows = list(differences)[::-1]
    bars, seeds = [], []
    for row, found in enumerate(rows):
        style = OPTIMIZER_STYLES[found.optimizer]
        interval = found.interval
        half = 100 * (interval.high - interval.mean)
        bar: dict[str, Any] = {}
        spread = " points, one seed, no interval"
        if math.isfinite(half):
            bar = {"error_x": {"type": "data", "array": [half], "thickness": 2, "width": 6}}
            spread = f" ± {half:.2f} points"
        common = {"type": "scatter", "mode": "markers", "showlegend": False}
        bars.append(
            common
            | {
                "x": [100 * interval.mean],
                "y": [row],
                "marker": {"symbol": style.symbol, "size": 10, "color": style.color},
                "text": [html.escape(found.label)],
                "hovertemplate": f"%{{text}}<br>%{{x:+.2f}}{spread}<extra></extra>",
            }
            | bar
        )
        seeds.append(
            common
            | {
                "x": [100 * value for value in found.values.values()],
                "y": [row + 0.22] * len(found.values),
                "opacity": FAINT,
                "marker": {"symbol": "circle", "size": 6, "color": style.color},
                "text": [f"seed {seed}" for seed in found.values],
                "hovertemplate": "%{text}: %{x:+.2f} points<extra></extra>",
            }
        )
    zero = {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper"}
    figure = panel(
        [*bars, *seeds],
        [zero | {"line": {"color": NEUTRAL, "dash": "dash", "width": 1}}],
        title=f"Differences in {MEASURES[measure]}",
        alt=f"Differences in {MEASURES[measure]} to {reference}, seed by seed, with intervals.",
        x_axis={"title": f"percentage points above<br>{html.escape(reference)}", "zeroline": False},
        y_axis={
            "title": "",
            "tickmode": "array",
            "tickvals": list(range(len(rows))),
            "ticktext": [html.escape(found.label).replace(" · ", "<br>", 1) for found in rows],
            "range": [-0.6, len(rows) - 0.4],
            "automargin": True,
            "zeroline": False,
        },
        empty="Waiting for another setting to finish with the same seeds.",
    )
    return figure.update_layout(hovermode="closest", margin={"t": 34, "b": 60})
