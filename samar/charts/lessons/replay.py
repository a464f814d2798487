"""The start page's replay: landscapes, λ, ratio and accuracies of recorded runs, moving together.

All share one film of as many moments as fit a few seconds. What was measured less often holds its
last value, before the first epoch its first; nothing is interpolated.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.lessons.geometry import film_figure
from samar.charts.lessons.parts import line, moving, words_panel
from samar.charts.training import View, lam_figure, ratio_figure
from samar.recordings.catalog import RecordedRun

MOMENTS = 120
BANDED = ("dead_band", "trend")
"""Rules that leave λ alone within a band."""
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


def _lam_and_ratio(run: RecordedRun, picked: Any, total: int) -> dict[str, go.Figure]:
    steps = {name: column[picked] for name, column in run.steps.items()}
    nothing = {name: column[:0] for name, column in run.epochs.items()}
    config = run.config
    view = View(
        optimizer="samar",
        bounds=(config["lam_min"], config["lam_max"]),
        dead_band=(1 - config["tau"], 1 + config["tau"]) if config["rule"] in BANDED else None,
    )
    found = {"lam": lam_figure(steps, nothing, view), "ratio": ratio_figure(steps, nothing, view)}
    found["lam"].layout.yaxis.range = [0, 1.1 * config["lam_max"]]
    found["ratio"].layout.yaxis.update(
        range=np.log10([0.5, 2.0]).tolist(), tickvals=[0.5, 0.7, 0.9, 1.1, 1.4, 2]
    )
    for figure in found.values():
        figure.layout.xaxis.range = [0, total]
        moving(figure, MOMENTS - 1, "moment", range(len(figure.data)))
    return found


def _plane(run: RecordedRun, at: Any, title: str) -> go.Figure:
    assert run.film is not None
    film = run.film
    shown = np.searchsorted(film.steps, at, side="right") - 1
    return film_figure(film.axes, film.loss[np.maximum(shown, 0)], title, top=TOP, scale=False)


def _shares(
    runs: Mapping[str, RecordedRun], column: str, at: Any, title: str, total: int
) -> go.Figure:
    traces = []
    for name, run in runs.items():
        known = np.searchsorted(run.epochs["step"], at, side="right") - 1
        values = 100 * run.epochs[column][np.maximum(known, 0)]
        traces.append(line(at, values, name, run.config["optimizer"]))
    ends = ", ".join(f"{t} {100 * r.epochs[column][-1]:.0f} %" for t, r in runs.items())
    figure = words_panel(
        traces,
        title=title,
        alt=f"{title} over steps; at the end: {ends}.",
        x={"title": "step", "range": [0, total]},
        y={"title": "", "range": [-3, 103]},
    )
    return moving(figure, MOMENTS - 1, "moment", range(len(traces)))
