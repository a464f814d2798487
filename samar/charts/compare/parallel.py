"""Parallel coordinates: every run a line through its settings and its results (Inselberg 1985)."""

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.compare.groups import NOT_USED, differences, shown
from samar.jobs.job import Job
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings

RESULTS = {
    "train_accuracy": "training accuracy (%)",
    "gap": "gap (points)",
    "test_accuracy": "test accuracy (%)",
}
MOST_SETTINGS = MOST_TICKS = 8
COLORS = [[0, "#0072B2"], [0.5, "#8C7F86"], [1, "#D55E00"]]
"""Thin lines have to be seen on a light and on a dark page, which rules out Viridis' ends."""


def parallel_figure(runs: Sequence[Job]) -> go.Figure | None:
    """The settings that differ, then training accuracy, gap and test accuracy.

    Args:
        runs: those without an evaluated epoch are left out.

    Returns:
        None if fewer than two runs are left or no setting differs.
    """
    known = [run for run in runs if run.last_epoch is not None]
    differ = differences([run.settings for run in known])
    if len(known) < 2 or not differ:
        return None
    # The seed is the last of the settings: what it does is noise.
    names = sorted(differ, key=lambda name: name == "seed")[:MOST_SETTINGS]
    dimensions = [_dimension(name, differ[name]) for name in names]
    last = [run.last_epoch for run in known]
    for name, label in RESULTS.items():
        values = [100 * getattr(epoch, name) for epoch in last]
        dimensions.append({"label": label, "values": values, "tickformat": ".1f"})
    accuracy = dimensions[-1]["values"]
    trace: dict[str, Any] = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {
            "color": accuracy,
            "colorscale": COLORS,
            "cmin": min(accuracy),
            "cmax": max(max(accuracy), min(accuracy) + 1e-6),
        },
        "unselected": {"line": {"opacity": 0.05}},
        "labelangle": -12,
        "labelside": "top",
    }
    told = ", ".join(settings_of(TrainSettings)[name].label for name in names)
    layout = {
        "template": "none",
        "meta": {"alt": f"{len(known)} runs as lines through {told}, and their accuracies."},
        "margin": {"l": 70, "r": 40, "t": 84, "b": 24},
    }
    return go.Figure(data=[trace], layout=layout)


def _dimension(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """An axis: logarithmic for settings that are chosen so, names for what is no number."""
    known = settings_of(TrainSettings)[name]
    axis: dict[str, Any] = {"label": html.escape(known.label)}
    distinct = sorted(
        {v for v in values if v not in (None, NOT_USED)}, key=lambda v: (str(type(v)), v)
    )
    numeric = known.kind in (int, float) and len(distinct) > 1
    log = numeric and known.log and distinct[0] > 0
    if numeric:
        places = {value: math.log10(value) if log else float(value) for value in distinct}
    else:
        places = {value: float(number) for number, value in enumerate(distinct)}
    ordered = sorted(places, key=lambda value: places[value])
    spaced = np.linspace(0, len(ordered) - 1, min(MOST_TICKS, len(ordered))).round().astype(int)
    ticks = [ordered[place] for place in spaced]
    # Runs that do not use a setting, or use all there is, lie below the axis' own values.
    low, high = min(places.values(), default=0.0), max(places.values(), default=1.0)
    below = low - max(0.15 * (high - low), 0.3 if not numeric else 1e-9)
    odd = {value: below for value in values if value in (None, NOT_USED)}
    places |= odd
    ticks += odd
    return axis | {
        "values": [places[value] for value in values],
        "tickvals": [places[value] for value in ticks],
        "ticktext": [html.escape(shown(value, known)[:24]) for value in ticks],
    }
