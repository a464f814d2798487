"""Lesson 3: λ as a controller, shocked by a jump of the learning rate."""

import numpy as np
import plotly.graph_objects as go

from samar.charts.lessons import moving
from samar.charts.training import View, lam_figure, ratio_figure, sharpness_figure
from samar.optim.catalog import RULES, dead_band_of
from samar.recordings import RecordedRun, recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown, moment

TITLES = {name: RULES[name].title for name in ("trend_power", "trend", "dead_band")}


def _draw() -> Shown:
    shipped = recording("jump")
    run = shipped.runs[segmented("λ rule", "l3_rule", TITLES)]
    steps = len(run.steps["step"])
    until = moment(
        "l3_at", steps, "Show up to step", "Moves the end of the curves; the link keeps it."
    )
    (jump, changed), lam = run.changes[0], run.steps["lam"]
    before, top = float(lam[jump - 1]), float(lam[jump:].max())
    sharp = run.steps["sharpness"]
    rose = float(sharp[jump : jump + 16].mean() / sharp[jump - 16 : jump].mean())
    back = np.flatnonzero(lam[jump + int(lam[jump:].argmax()) :] <= before)
    finding = (
        f"After step {jump} the learning rate jumps from {run.config['lr']:g} to "
        f"{changed['lr']:g}. The sharpness of the next 16 steps is {rose:.1f} times that of the 16 "
        f"before. λ was {before:.2f} and rose to {top:.2f}"
        + (
            f"; {int(lam[jump:].argmax() + back[0])} steps after the jump it was down again."
            if back.size
            else "; it did not come down again, and had been rising before the jump."
        )
    )
    charts = [
        Chart(f"jump_{name}", figure, 300 if name == "lam" else 280, name == "lam", moves=True)
        for name, figure in _figures(run, until).items()
    ]
    return Shown(charts, finding, shipped.facts())


def _figures(run: RecordedRun, until: int) -> dict[str, go.Figure]:
    steps = {name: column[:until] for name, column in run.steps.items()}
    epochs = {name: column[:0] for name, column in run.epochs.items()}
    step, change = run.changes[0]
    events = [(float(step), f"η → {change['lr']:g}")] if until > step else []
    view = View(
        optimizer="samar",
        bounds=(run.config["lam_min"], run.config["lam_max"]),
        dead_band=dead_band_of(run.config["rule"], run.config["tau"]),
        smoothing=0.8,
        log=True,
        events=events,
    )
    found = {}
    for name, draw in (("lam", lam_figure), ("ratio", ratio_figure), ("sharp", sharpness_figure)):
        figure = draw(steps, epochs, view)
        figure.layout.xaxis.range = [0, len(run.steps["step"])]
        if name == "lam":
            figure.layout.yaxis.range = [0, 1.05 * max(1.0, float(np.max(run.steps["lam"])))]
        found[name] = moving(figure, until - 1, "step")
    return found


LESSON = Lesson(
    "controller",
    badge="replay",
    draw=_draw,
    defaults={"l3_rule": "trend_power", "l3_at": 256},
)
