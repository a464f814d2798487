"""The curves of one run, live or finished: one panel per quantity, all over the same x.

Input are the columns of ``samar.jobs.records``, arrays of shape (n,), NaN where a quantity does not
apply: ``steps`` with ``step, grad_evals, seconds, loss, sharpness, ratio, lam`` and ``epochs`` with
``step, grad_evals, seconds, train_loss, train_accuracy, test_loss, test_accuracy, gap``, accuracies
as fractions. Every ``*_figure`` takes both and a :class:`View`, so that all panels end at one x.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.smoothing import Floats, exponential_moving_average, thin
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES, OptimizerStyle, panel

Columns = Mapping[str, Floats]

X_TITLES = {"step": "step", "grad_evals": "gradient evaluations", "seconds": "training time (s)"}
RATIO_TICKS = {
    1.25: (0.8, 0.9, 1, 1.1, 1.25),
    2.0: (0.5, 0.7, 1, 1.4, 2),
    4.0: (0.25, 0.5, 1, 2, 4),
    16.0: (0.06, 0.25, 1, 4, 16),
    256.0: (0.004, 0.06, 1, 16, 256),
}
"""How far the ratio's axis reaches, as a factor to either side of 1, and its labels."""
SMOOTHING_POINTS = 1000
"""A smoothed curve has this many points; smoothing counts in them once a run has more steps."""


@dataclass(frozen=True)
class View:
    """How a run is looked at.

    Attributes:
        optimizer: Key of :data:`samar.charts.theme.OPTIMIZER_STYLES`.
        x: Quantity on the x axis, a key of :data:`X_TITLES`. SAM's family takes two gradients a
            step, so only gradient evaluations and seconds compare it fairly with SGD.
        log: Logarithmic y axis for loss and sharpness.
        smoothing: Weight of the moving average in [0, 1), per step up to 1,000 steps and per
            thousandth of the chart beyond, so that it looks the same at any length of the run; 0
            draws the raw curve alone.
        bounds: (λ_min, λ_max) of the run.
        dead_band: (1 − τ, 1 + τ) if the rule ignores ratios in between.
        events: Changes made while the run was going, as (x, what changed).
    """

    optimizer: str = "samar"
    x: str = "step"
    log: bool = False
    smoothing: float = 0.0
    bounds: tuple[float, float] | None = None
    dead_band: tuple[float, float] | None = None
    events: Sequence[tuple[float, str]] = ()

    @property
    def style(self) -> OptimizerStyle:
        """Colour, dash and marker of the optimizer."""
        return OPTIMIZER_STYLES[self.optimizer]


def lam_figure(steps: Columns, epochs: Columns, view: View) -> go.Figure:
    """λ, the strength of the sharpness term, with the bounds that it may not leave."""
    line = {"color": view.style.color, "width": 2}
    curves = curve(steps[view.x], steps["lam"], "λ", "%{y:.4f}", line)
    shapes = []
    if view.bounds:
        low, high = view.bounds
        named = {"name": f"bounds {low:g} and {high:g}", "showlegend": True}
        shapes = [_level(high, "dash") | named, _level(low, "dash")]
    title = "Regularization strength λ"
    return run_panel(steps, epochs, view, curves, title, {"title": "λ"}, shapes)


def ratio_figure(steps: Columns, epochs: Columns, view: View) -> go.Figure:
    """Sharpness ratio r, on an axis centred on 1 where factors up and down look alike."""
    ratio = np.where(steps["ratio"] > 0, steps["ratio"], np.nan)
    curves = _step_curves(steps, view, ratio, "ratio", view.style.color, geometric=True)
    reach = np.exp(np.quantile(np.abs(np.log(ratio[np.isfinite(ratio)])), 0.98)) if curves else 1
    factor = next((width for width in RATIO_TICKS if reach <= width), max(RATIO_TICKS))
    # Limits of the automatic range, because a plain range would overrule the reader's zoom.
    limits = {"include": [1 / factor, factor], "clipmin": 1 / factor, "clipmax": factor}
    y_axis: dict[str, Any] = {"title": "sharpness / reference", "type": "log"}
    y_axis |= {"autorangeoptions": limits, "tickvals": RATIO_TICKS[factor]}
    shapes = [_level(1.0, "solid")]
    if view.dead_band:
        low, high = view.dead_band
        band = {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": low, "y1": high}
        band |= {"fillcolor": NEUTRAL, "opacity": 0.25, "line": {"width": 0}}
        shapes.append(band | {"name": f"dead band {low:g} to {high:g}", "showlegend": True})
    empty = "Waiting for the second step."
    return run_panel(steps, epochs, view, curves, "Sharpness ratio", y_axis, shapes, empty)


def sharpness_figure(steps: Columns, epochs: Columns, view: View) -> go.Figure:
    """Sharpness f(x + ε) − f(x): how far the loss climbs within ρ of the weights."""
    curves = _step_curves(steps, view, steps["sharpness"], "sharpness", view.style.color)
    y_axis = {"title": "f(x+ε) − f(x)"} | _scale(view)
    empty = "Waiting for the first step."
    if view.optimizer == "sgd":
        empty = "SGD has no λ and measures no sharpness:<br>it never perturbs the weights."
    return run_panel(steps, epochs, view, curves, "Sharpness", y_axis, empty=empty)


def run_panel(
    steps: Columns,
    epochs: Columns,
    view: View,
    curves: list[dict[str, Any]],
    title: str,
    y_axis: dict[str, Any],
    shapes: Sequence[dict[str, Any]] = (),
    empty: str = "Waiting for the first step.",
) -> go.Figure:
    """A panel over the run's x axis, with the changes made by hand marked."""
    x_title = X_TITLES[view.x]
    end = max([1.0, *steps[view.x][-1:], *epochs[view.x][-1:]])
    x_axis = {
        "title": x_title,
        "autorangeoptions": {"include": [0, end], "clipmin": 0, "clipmax": end},
        "unifiedhovertitle": {"text": f"{x_title} %{{x:,.6~r}}"},
    }
    marks = [
        {
            "type": "line",
            "yref": "paper",
            "x0": x,
            "x1": x,
            "y0": 0,
            "y1": 1,
            "line": {"dash": "dot", "width": 1.5},
            "label": {"text": label, "textposition": "end", "yanchor": "top", "xanchor": "right"},
        }
        for x, label in view.events
    ]
    alt = f"{title} of the {view.style.title} run over {x_title}."
    return panel(
        curves,
        [*shapes, *marks],
        title=title,
        alt=alt,
        x_axis=x_axis,
        y_axis=y_axis,
        empty=empty,
    )


def _step_curves(
    steps: Columns, view: View, raw: Floats, name: str, color: str, *, geometric: bool = False
) -> list[dict[str, Any]]:
    """One noisy quantity: the raw curve, faint as soon as a smoothed one lies over it.

    A geometric average suits a logarithmic axis: a doubling and a halving cancel.
    """
    x, thin_line, thick_line = steps[view.x], {"color": color, "width": 1}, {"color": color}
    if view.smoothing == 0:
        return curve(x, raw, name, "%{y:.4~g}", thin_line)
    weight = view.smoothing ** min(1.0, SMOOTHING_POINTS / max(raw.size, 1))
    mean = exponential_moving_average(np.log(raw) if geometric else raw, weight)
    curves = curve(x, raw, name, "%{y:.4~g}", thin_line, opacity=0.3, showlegend=False)
    smooth, hover = np.exp(mean) if geometric else mean, "%{y:.4~g} smoothed"
    curves += curve(x, smooth, name, hover, thick_line, points=SMOOTHING_POINTS)
    return [curve | {"legendgroup": name} for curve in curves]


def curve(
    x: Floats,
    y: Floats,
    name: str,
    hover: str,
    line: dict[str, Any],
    marker: dict[str, Any] | None = None,
    points: int = 2000,
    **options: Any,
) -> list[dict[str, Any]]:
    """A curve in float32, which a screen cannot tell from float64; none if nothing is finite.

    Without a marker of its own a curve shows its points only while they are few (single steps).
    """
    x, y = thin(x, y, points)
    if y.size == 0:
        return []
    curve = {
        "type": "scatter",
        "x": np.asarray(x, dtype=np.float32),
        "y": np.asarray(y, dtype=np.float32),
        "name": name,
        "mode": "lines+markers" if marker or y.size <= 30 else "lines",
        "line": line,
        "marker": marker or {"size": 4},
        "cliponaxis": marker is None,
        "hovertemplate": hover,
    }
    return [curve | options]


def _scale(view: View) -> dict[str, Any]:
    return {"type": "log", "nticks": 5} if view.log else {"type": "linear"}


def _level(y: float, dash: str) -> dict[str, Any]:
    """A horizontal line across the panel, behind the curves."""
    line = {"dash": dash, "width": 1}
    place = {"xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
    return {"type": "line", "line": line, "layer": "below", **place}
