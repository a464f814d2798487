"""One or several runs as one HTML file that needs neither network nor server.

Every word that a person wrote is escaped; plotly.js is in a comparison once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from samar.charts.compare.curves import Line, overlay_figure, overlay_height
from samar.charts.html.render import charts, render
from samar.charts.html.stage import inline_stage
from samar.charts.stage.feed import StageRun
from samar.charts.stage.still import still
from samar.compare.groups import Group, differences, group_by_seed, left_out, shown
from samar.compare.metrics import METRICS, curve_of
from samar.exchange.archive import manifest_of
from samar.jobs.edits import edited
from samar.jobs.job import Job
from samar.jobs.records import Columns, Event
from samar.jobs.store import Store
from samar.jobs.summary import percent
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings

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
        runs: one training run, on the stage; or several, laid over each other.
    """
    records = store.records
    recorded = [
        _Recorded(r, records.steps(r.key), records.epochs(r.key), records.events(r.key))
        for r in runs
    ]
    groups = group_by_seed(runs) if len(runs) > 1 else []
    differ = differences([run.settings for run in runs]) if len(runs) > 1 else {}
    known = settings_of(TrainSettings)
    labels = [known[name].label for name in differ]
    columns = [
        [run.label for run in runs],
        *([shown(value, known[name]) for value in values] for name, values in differ.items()),
    ]
    return render(
        "report.html.j2",
        title=f"{len(runs)} runs compared" if groups else runs[0].label,
        stage=None if groups else _stage(recorded[0]),
        charts=charts(_overlays(groups, recorded)) if groups else [],
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


def _stage(recorded: _Recorded) -> dict[str, Any]:
    """The whole stage of a run, with its landscapes, eigenvalues, marks and clock."""
    run = recorded.run
    shown = StageRun(
        id=run.id,
        number=run.key,
        label=run.label,
        settings=edited(run.settings, recorded.events),
        optimizer=run.settings.optimizer,
        began=run.settings,
        steps=recorded.steps,
        epochs=recorded.epochs,
        events=recorded.events,
        classes=int(run.summary.get("about", {}).get("classes", 10)),
    )
    return inline_stage(still([shown], run))


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
