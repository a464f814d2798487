"""One or several runs as one HTML file that needs neither network nor server.

Every word that a person wrote is escaped; plotly.js is in the file once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from samar.charts.compare.curves import Line, overlay_figure, overlay_height
from samar.charts.curvature import curvature_panel
from samar.charts.html.render import charts, render
from samar.charts.training import PANELS, View, panel_names
from samar.compare.groups import Group, differences, group_by_seed, left_out, shown
from samar.compare.metrics import METRICS, curve_of
from samar.exchange.archive import manifest_of
from samar.jobs.edits import edited
from samar.jobs.job import Job
from samar.jobs.records import CURVATURE, Columns, Event, measurements
from samar.jobs.store import Store
from samar.jobs.summary import percent
from samar.optim.catalog import dead_band_of
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings, changes_text

Sized = tuple[go.Figure, int]
OVERLAYS = ("test_accuracy", "train_accuracy", "gap", "test_loss", "lam", "sharpness", "lambda_max")
SMOOTHING = 0.9
RESULTS = (
    *("run", "id", "status", "epochs", "training", "test", "gap"),
    *("gradient evaluations", "seconds"),
)


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A run with everything that it recorded."""

    run: Job
    steps: Columns
    epochs: Columns
    events: Sequence[Event]


def report_html(store: Store, runs: Sequence[Job]) -> str:
    """A table of results, the figures over steps, differing settings, commands and manifests.

    Args:
        runs: one training run, with all its panels; or several, laid over each other.
    """
    records = store.records
    recorded = [
        _Recorded(r, records.steps(r.key), records.epochs(r.key), records.events(r.key))
        for r in runs
    ]
    if len(recorded) == 1:
        groups, title, figures = [], runs[0].label, _panels(recorded[0])
    else:
        groups = group_by_seed(runs)
        title, figures = f"{len(runs)} runs compared", _overlays(groups, recorded)
    differ = differences([run.settings for run in runs]) if len(runs) > 1 else {}
    known = settings_of(TrainSettings)
    labels = [known[name].label for name in differ]
    columns = [
        [run.label for run in runs],
        *([shown(value, known[name]) for value in values] for name, values in differ.items()),
    ]
    return render(
        "report.html.j2",
        title=title,
        charts=charts(figures),
        results={"head": RESULTS, "rows": [_result(run) for run in runs]},
        differing={
            "head": ["run", *labels],
            "rows": list(zip(*columns, strict=True)) if differ else [],
        },
        smoothing=SMOOTHING,
        left_out=left_out(groups, runs),
        runs=[
            {
                "name": f"{run.label} · {run.id}",
                "command": run.command,
                "facts": {
                    "settings": run.settings.model_dump(),
                    "manifest": manifest_of(store, run),
                },
            }
            for run in runs
        ],
    )


def _panels(recorded: _Recorded) -> list[Sized]:
    steps, epochs = recorded.steps, recorded.epochs
    began = recorded.run.settings.optimizer
    now = edited(recorded.run.settings, recorded.events)
    adaptive = "samar" in (began, now.optimizer) or bool(np.isfinite(steps["ratio"]).any())
    bounded = adaptive and now.rule not in ("", "fixed")
    view = View(
        optimizer=began,
        smoothing=SMOOTHING,
        bounds=(now.lam_min, now.lam_max) if bounded else None,
        dead_band=dead_band_of(now.rule, now.tau) if adaptive else None,
        events=[
            (float(event.step), changes_text(event.detail))
            for event in recorded.events
            if event.kind == "change" and steps["step"].size
        ],
    )
    shown_as = "samar" if adaptive else began  # as on the stage, where it once had a λ
    figures = [PANELS[name](steps, epochs, view) for name in panel_names(shown_as)]
    measured = [{"step": e.step, **e.detail} for e in measurements(recorded.events, CURVATURE)]
    if measured:
        figures.append(curvature_panel(steps, epochs, view, measured))
    return [(figure, 320) for figure in figures]


def _overlays(groups: Sequence[Group], recorded: Sequence[_Recorded]) -> list[Sized]:
    by_id = {each.run.id: each for each in recorded}
    figures = []
    for name in OVERLAYS:
        lines = [
            Line(
                group.title,
                group.runs[0].settings.optimizer,
                [
                    curve_of(name, "step", each.steps, each.epochs, each.events)
                    for each in (by_id[run.id] for run in group.runs)
                ],
            )
            for group in groups
        ]
        if any(curve.y.size for line in lines for curve in line.curves):
            figure = overlay_figure(lines, METRICS[name], smoothing=SMOOTHING)
            figures.append((figure, overlay_height(lines)))
    return figures


def _result(run: Job) -> list[str]:
    last = run.last_epoch
    numbers = [""] * 6
    if last is not None:
        numbers = [
            str(last.epoch),
            percent(last.train_accuracy),
            percent(last.test_accuracy),
            "" if math.isnan(last.gap) else f"{100 * last.gap:+.2f}",
            f"{last.grad_evals:,}",
            f"{last.seconds:.1f}",
        ]
    return [run.label, run.id, run.status, *numbers]
