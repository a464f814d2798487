"""One or several runs as one HTML file that needs neither network nor server.

Every word that a person wrote is escaped; plotly.js is in the file once.
"""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import plotly.io

from samar.charts.compare.curves import Line, overlay_figure, overlay_height
from samar.charts.curvature_panel import curvature_panel
from samar.charts.training import PANELS, View, panel_names
from samar.compare.differences import differences, shown
from samar.compare.groups import group_by_seed
from samar.compare.metrics import METRICS, curve_of
from samar.jobs.job import Job
from samar.jobs.records import Columns, Event
from samar.settings.declare import settings_of
from samar.training.settings import TrainSettings

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';
 script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
<title>{title}</title>
<style>
body {{ font: 16px/1.45 sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b2530; background: #fff }}
pre {{ overflow: auto; background: #f2f5f8; padding: 1rem; font-size: 0.85rem }}
.wide {{ overflow-x: auto }} table {{ border-collapse: collapse }} summary {{ cursor: pointer }}
th, td {{ text-align: left; padding: 0.3rem 0.8rem; border-bottom: 1px solid #d3dae1;
  white-space: nowrap }}
.charts {{ display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)) }}
.charts > div {{ min-width: 0 }}
</style></head><body>
<h1>{title}</h1>
{body}
</body></html>
"""
OVERLAYS = ("test_accuracy", "train_accuracy", "gap", "test_loss", "lam", "sharpness", "lambda_max")
SMOOTHING = 0.9


@dataclass(frozen=True, eq=False)
class Recorded:
    """A run with everything that it recorded."""

    run: Job
    steps: Columns
    epochs: Columns
    events: Sequence[Event] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


def report_html(
    recorded: Sequence[Recorded], *, x: str = "step", smoothing: float = SMOOTHING
) -> str:
    """A table of results, the figures, differing settings, commands and manifests.

    Args:
        recorded: one run, with all its panels; or several, laid over each other.
        x: horizontal axis, key of :data:`samar.charts.training.X_TITLES`.
        smoothing: weight of the moving average of single steps; 0 is off.
    """
    runs = [each.run for each in recorded]
    if len(recorded) == 1:
        title, figures = runs[0].title, _panels(recorded[0], x, smoothing)
    else:
        title, figures = f"{len(runs)} runs compared", _overlays(recorded, x, smoothing)
    charts = [_chart(figure, number == 0) for number, figure in enumerate(figures)]
    parts = [_results(runs)]
    if len(runs) > 1 and (differ := differences([run.settings for run in runs])):
        labels = [settings_of(TrainSettings)[name].label for name in differ]
        columns = [_titles(runs), *([shown(v) for v in values] for values in differ.values())]
        rows = [list(row) for row in zip(*columns, strict=True)]
        parts += ["<h2>Settings that differ</h2>", _table(["run", *labels], rows)]
    parts.append("<h2>Figures</h2>")
    if smoothing:
        average = f"a moving average of weight {smoothing:g}"
        parts.append(f"<p>Quantities of single steps are smoothed: {average}.</p>")
    parts.append(f'<div class="charts">{"".join(charts)}</div>')
    parts.append("<h2>Commands that repeat this</h2>")
    parts += [f"<pre>{html.escape(run.settings.command)}</pre>" for run in runs]
    parts.append("<h2>Settings and manifests</h2>")
    for each in recorded:
        facts = {"settings": each.run.settings.model_dump(), "manifest": dict(each.manifest)}
        text = json.dumps(facts, indent=2, ensure_ascii=False)
        name = html.escape(f"{each.run.title} · {each.run.id}")
        parts.append(f"<details><summary>{name}</summary><pre>{html.escape(text)}</pre></details>")
    return PAGE.format(title=html.escape(title), body="\n".join(parts))


def _panels(recorded: Recorded, x: str, smoothing: float) -> list[go.Figure]:
    config, steps, epochs = recorded.run.settings, recorded.steps, recorded.epochs
    adaptive = config.optimizer == "samar" and config.rule != "fixed"
    view = View(
        optimizer=config.optimizer,
        x=x,
        smoothing=smoothing,
        bounds=(config.lam_min, config.lam_max) if adaptive else None,
        events=[
            (
                float(np.interp(event.step, steps["step"], steps[x])),
                html.escape(", ".join(f"{n} {value:g}" for n, value in event.detail.items())),
            )
            for event in recorded.events
            if event.kind == "change" and steps["step"].size
        ],
    )
    figures = [PANELS[name](steps, epochs, view) for name in panel_names(config.optimizer)]
    looks = [{"step": e.step, **e.detail} for e in recorded.events if e.kind == "curvature"]
    if looks:
        figures.append(curvature_panel(steps, epochs, view, looks))
    for figure in figures:
        figure.update_layout(height=320)
    return figures


def _overlays(recorded: Sequence[Recorded], x: str, smoothing: float) -> list[go.Figure]:
    by_id = {each.run.id: each for each in recorded}
    altered = [e.run.id for e in recorded if any(event.kind == "change" for event in e.events)]
    groups = group_by_seed([each.run for each in recorded], altered)
    figures = []
    for name in OVERLAYS:
        lines = [
            Line(
                group.title,
                group.runs[0].settings.optimizer,
                [
                    curve_of(name, x, each.steps, each.epochs, each.events)
                    for each in (by_id[run.id] for run in group.runs)
                ],
            )
            for group in groups
        ]
        if any(curve.y.size for line in lines for curve in line.curves):
            figure = overlay_figure(lines, METRICS[name], x=x, smoothing=smoothing)
            figure.update_layout(height=overlay_height(lines))
            figures.append(figure)
    return figures


def _chart(figure: go.Figure, first: bool) -> str:
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    figure.update_layout(title={"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 15}})
    alt = html.escape(str((figure.layout.meta or {}).get("alt", "")), quote=True)
    content = plotly.io.to_html(
        figure,
        full_html=False,
        include_plotlyjs=first,
        config={
            "displaylogo": False,
            "responsive": True,
            "modeBarButtonsToRemove": ["sendChartToCloud"],
        },
    )
    return f'<div role="img" aria-label="{alt}">{content}</div>'


def _results(runs: Sequence[Job]) -> str:
    head = [
        "run",
        "id",
        "status",
        "epochs",
        "training",
        "test",
        "gap",
        "gradient evaluations",
        "seconds",
    ]
    rows = []
    for run, title in zip(runs, _titles(runs), strict=True):
        last = run.last_epoch
        numbers = ["", "", "", "", "", ""]
        if last is not None:
            numbers = [
                str(last.epoch),
                f"{last.train_accuracy:.2%}",
                f"{last.test_accuracy:.2%}",
                f"{100 * last.gap:+.2f}",
                f"{last.grad_evals:,}",
                f"{last.seconds:.1f}",
            ]
        rows.append([title, run.id, run.status, *numbers])
    return _table(head, rows)


def _titles(runs: Sequence[Job]) -> list[str]:
    return [run.title for run in runs]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    lines = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )
