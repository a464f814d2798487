"""The start page's replay: landscapes, λ, ratio and accuracies of recorded runs, moving together.

All share one clock of as many moments as fit a few seconds. What was measured less often holds its
last value, before the first epoch its first; nothing is interpolated.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.lessons import landscape_figure, line, moving
from samar.charts.theme import panel
from samar.charts.training import View, lam_figure, ratio_figure
from samar.optim.catalog import RULES
from samar.recordings.catalog import RecordedRun

MOMENTS = 120
TOP = 4.0
"""Losses above are drawn as this."""


def replay_figures(samar: RecordedRun, sgd: RecordedRun) -> dict[str, go.Figure]:
    """Two planes, wrong labels and test accuracy of both runs, λ and ratio of the first."""
    total = len(samar.steps["step"])
    picked = np.linspace(0, total - 1, MOMENTS).round().astype(int)
    at = samar.steps["step"][picked]
    both = {"SGD": sgd, "SAMAR": samar}
    return {
        "plane_sgd": _plane(sgd, at, "Landscape around SGD"),
        "plane_samar": _plane(samar, at, "Landscape around SAMAR"),
        "memorized": _shares(both, "memorized", at, "Wrong labels learned by heart (%)", total),
        "test": _shares(both, "test_accuracy", at, "Test accuracy (%)", total),
        **_lam_and_ratio(samar, picked, total),
    }


def view_of(config: Mapping[str, Any], **options: Any) -> View:
    """How a recorded run of SAMAR is drawn: with λ's bounds and its rule's dead band, if any."""
    banded = "tau" in RULES[config["rule"]].constants
    return View(
        optimizer="samar",
        bounds=(config["lam_min"], config["lam_max"]),
        dead_band=(1 - config["tau"], 1 + config["tau"]) if banded else None,
        **options,
    )


def _lam_and_ratio(run: RecordedRun, picked: Any, total: int) -> dict[str, go.Figure]:
    steps = {name: column[picked] for name, column in run.steps.items()}
    nothing = {name: column[:0] for name, column in run.epochs.items()}
    view = view_of(run.config)
    found = {"lam": lam_figure(steps, nothing, view), "ratio": ratio_figure(steps, nothing, view)}
    found["lam"].layout.yaxis.range = [0, 1.1 * run.config["lam_max"]]
    found["ratio"].layout.yaxis.update(
        range=np.log10([0.5, 2.0]).tolist(), tickvals=[0.5, 0.7, 0.9, 1.1, 1.4, 2]
    )
    for figure in found.values():
        figure.layout.xaxis.range = [0, total]
        moving(figure, MOMENTS - 1, "moment")
    return found


def _plane(run: RecordedRun, at: Any, title: str) -> go.Figure:
    assert run.film is not None
    film = run.film
    shown = np.searchsorted(film.steps, at, side="right") - 1
    return landscape_figure(film.axes, film.loss[np.maximum(shown, 0)], title, top=TOP, scale=False)


def _shares(
    runs: Mapping[str, RecordedRun], column: str, at: Any, title: str, total: int
) -> go.Figure:
    traces = []
    for name, run in runs.items():
        known = np.searchsorted(run.epochs["step"], at, side="right") - 1
        values = 100 * run.epochs[column][np.maximum(known, 0)]
        traces.append(line(at, values, name, run.config["optimizer"]))
    ends = ", ".join(f"{t} {100 * r.epochs[column][-1]:.0f} %" for t, r in runs.items())
    figure = panel(
        traces,
        title=title,
        alt=f"{title} over steps; at the end: {ends}.",
        x_axis={"title": "step", "range": [0, total]},
        y_axis={"title": "", "range": [-3, 103]},
    )
    return moving(figure, MOMENTS - 1, "moment")
