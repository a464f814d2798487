"""The live region of a run: status line, what the rule just did, and the linked charts."""

from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samar.charts.curvature import curvature_panel, trace_panel
from samar.charts.narration import narrate
from samar.charts.training import PANELS, X_TITLES, View, panel_names
from samar.errors import RunError
from samar.jobs.job import Job
from samar.jobs.records import LOOKS, Columns, Event
from samar.jobs.summary import duration
from samar.training.settings import TrainSettings
from samar.web.controls import SETTINGS
from samar.web.plotly_chart import plotly_chart
from samar.web.service import history, service
from samar.web.text import plain

REFRESH_SECONDS = 0.5
EAGER_SECONDS, EAGER_STEPS = 0.2, 30
"""Before the first numbers a page is looked at more often, until so many steps are drawn."""
SPEED_WINDOW = 200


def choose_view() -> View:
    """Draw the controls over the charts; all of them are in the URL."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="look"):
        x = st.segmented_control(
            "Horizontal axis",
            list(X_TITLES),
            default="step",
            required=True,
            format_func=lambda name: X_TITLES[name],
            key="x",
            bind="query-params",
            help="A step of SAM, VaSSO or SAMAR costs two gradients, a step of SGD one.",
        )
        smoothing = st.slider(
            "Smoothing (0 is off)",
            0.0,
            0.99,
            0.9,
            0.01,
            key="smooth",
            bind="query-params",
            width=220,
        )
        log = st.toggle("Log scale", key="log", bind="query-params")
    return View(x=x or "step", log=bool(log), smoothing=smoothing)


def live_run(run: Job, view: View) -> None:
    """Show a run and keep it up to date while it is active; several tabs may watch one run."""
    eager = run.active and not run.done
    every = (EAGER_SECONDS if eager else REFRESH_SECONDS) if run.active else None
    st.fragment(_watch, run_every=every)(run.id, (run.status, run.message), view, eager)


def _watch(run_id: str, drawn: tuple[str, str], view: View, eager: bool) -> None:
    try:
        run = service().get(run_id)
    except RunError:  # deleted elsewhere: the page says so
        st.rerun()
    if (run.status, run.message) != drawn:
        st.rerun()
    config = run.settings.model_copy(update=service().live_values(run))
    events = service().store.records.events(run.key)
    steps, epochs = history(run).refresh()
    with st.container(key="status"):
        st.markdown(_status_line(run, steps))
    with st.container(key="narration"):
        # Why a run ended stands where the narration stood, so that nothing moves.
        color = "red" if run.status in ("failed", "diverged", "interrupted") else "blue"
        ended = f":{color}[**{plain(run.message)}**]" if run.message else ""
        st.caption(ended or narrate(config, steps))
    view = _of_run(view, config, steps, events)
    with st.grid(2, min_column_width=360):
        for name in panel_names(config.optimizer):
            figure = PANELS[name](steps, epochs, view)
            _chart(name, figure, run)
        if run.settings.curvature_every:
            found = [{"step": e.step, **e.detail} for e in events if e.kind == "curvature"]
            _chart("curvature", curvature_panel(steps, epochs, view, found), run)
            _chart("trace", trace_panel(steps, epochs, view, found), run)
    if run.settings.curvature_every:
        st.caption(
            "Eigenvalues and trace: measured between epochs on 128 training images; bars are "
            "residuals and the standard error. Above 2/η plain gradient descent is unstable; for "
            f"SAM and SAMAR it is only a reference.{_share(run, events, steps)}"
        )
    if eager and run.done >= EAGER_STEPS:
        st.rerun()  # drawn at once; from here on at leisure


def _share(run: Job, events: list[Event], steps: Columns) -> str:
    """What the measurements cost so far."""
    spent = sum(event.detail.get("seconds", 0.0) for event in events if event.kind in LOOKS)
    if not spent or not len(steps["seconds"]):
        return ""
    share = spent / (spent + steps["seconds"][-1])
    most = run.settings.probe_share
    return f" All measurements took {share:.0%} of the time; the limit is {most:.0%}."


def _chart(name: str, figure: go.Figure, run: Job) -> None:
    plotly_chart(figure, key=f"panel_{name}", height=250, link="run", uirevision=run.id)


def _of_run(view: View, config: TrainSettings, steps: Columns, events: list[Event]) -> View:
    adaptive = config.optimizer == "samar" and config.rule != "fixed"
    banded = adaptive and config.rule in ("dead_band", "trend")
    return replace(
        view,
        optimizer=config.optimizer,
        bounds=(config.lam_min, config.lam_max) if adaptive else None,
        dead_band=(1 - config.tau, 1 + config.tau) if banded else None,
        events=[
            (
                _position(steps, view.x, event.step),
                ", ".join(f"{SETTINGS[k].label} {v:g}" for k, v in event.detail.items()),
            )
            for event in events
            if event.kind == "change"
        ],
    )


def _position(steps: Columns, x: str, step: int) -> float:
    """Where a step lies on the chosen axis."""
    if not steps["step"].size:
        return 0.0
    index = min(int(np.searchsorted(steps["step"], step)), len(steps["step"]) - 1)
    return float(steps[x][index])


def _status_line(run: Job, steps: Columns) -> str:
    words = {
        "queued": "Queued: it starts when the run before it ends",
        "running": "Training",
        "paused": "Paused",
        "finished": "Finished",
        "stopped": "Stopped",
        "diverged": "Diverged",
        "failed": "Failed",
        "interrupted": "Interrupted",
        "unreadable": "Unreadable",
    }
    parts = [f"**{words[run.status]}**"]
    count, at = len(steps["step"]), int(max([0, *steps["step"][-1:]]))
    if run.status == "running" and count == 0:
        parts.append("preparing images and network…")
    if count:
        per_epoch = (run.total or 0) // run.settings.epochs
        epoch = min(int(steps["epoch"][-1]), run.settings.epochs)
        parts.append(f"epoch {epoch} of {run.settings.epochs}")
        parts.append(f"step {at:,} of {run.total:,}" if per_epoch else f"step {at:,}")
    if run.status == "running" and count > 1:
        recent = min(count, SPEED_WINDOW)
        spent = steps["seconds"][-1] - steps["seconds"][-recent]
        speed = (recent - 1) / spent if spent > 0 else 0.0
        parts.append(f"{speed:,.0f} steps/s" if speed >= 10 else f"{speed:.2g} steps/s")
        if speed and run.total:
            parts.append(f"about {duration((run.total - at) / speed)} left")
    if run.device and run.status != "queued":
        parts.append(run.device)
    return " · ".join(parts)
