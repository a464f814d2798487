"""Curves of several runs: any quantity, over steps, gradient evaluations or seconds."""

from collections.abc import Sequence

import streamlit as st

from samar.charts.compare.curves import Line, overlay_figure, overlay_height
from samar.charts.training import View
from samar.compare.groups import Curve, Group, group_by_seed, titles_of
from samar.compare.metrics import METRICS, curve_of
from samar.jobs.job import Job
from samar.jobs.records import Columns, Event
from samar.web.plotly_chart import plotly_chart
from samar.web.service import history, service
from samar.web.text import plain
from samar.web.train.live import choose_view

REFRESH_SECONDS = 2.0
FIRST_SHOWN = ["test_accuracy", "gap", "loss", "sharpness"]


def curves(runs: Sequence[Job]) -> None:
    """Draw the controls and the charts; they follow runs that still train."""
    shown = st.multiselect(
        "Show",
        list(METRICS),
        default=FIRST_SHOWN,
        format_func=lambda name: METRICS[name].title,
        key="metrics",
        bind="query-params",
    )
    view = choose_view()
    together = st.toggle(
        "Mean ± sd over seeds",
        value=True,
        key="over_seeds",
        bind="query-params",
        help="Runs whose settings differ by the seed only are averaged at equal steps; the band is "
        "one sample standard deviation to either side.",
    )
    active = any(run.active for run in runs)
    draw = st.fragment(_draw, run_every=REFRESH_SECONDS if active else None)
    draw([run.id for run in runs], shown, bool(together), view)


def altered(runs: Sequence[Job]) -> list[str]:
    """Ids of runs that somebody changed while they trained."""
    return [run.id for run in runs if any(e.kind == "change" for e in events_of(run))]


def steps_of(run: Job) -> Columns:
    """A run's steps, read once if it has ended."""
    return history(run).refresh()[0] if run.active else _steps(run.key, run.finished or 0, run.done)


def epochs_of(run: Job) -> Columns:
    """A run's epochs, read once if it has ended."""
    if run.active:
        return history(run).refresh()[1]
    return _epochs(run.key, run.finished or 0, run.done)


def events_of(run: Job) -> list[Event]:
    """A run's events, read once if it has ended."""
    if run.active:
        return service().store.records.events(run.key)
    return _events(run.key, run.finished or 0, run.done)


def _draw(ids: Sequence[str], shown: Sequence[str], together: bool, view: View) -> None:
    known = {run.id: run for run in service().all("train")}
    runs = [known[run_id] for run_id in ids if run_id in known]
    groups = group_by_seed(runs, altered(runs))
    repeats = [run_id for group in groups for run_id in group.repeats] if together else []
    if not together:
        alone = [(run,) for run in runs]
        groups = [Group(t, g) for t, g in zip(titles_of(alone), alone, strict=True)]
    with st.grid(2, min_column_width=360):
        for name in shown:
            lines = [_line(name, group, view.x) for group in groups]
            figure = overlay_figure(
                lines, METRICS[name], x=view.x, log=view.log, smoothing=view.smoothing
            )
            height = overlay_height(lines)
            plotly_chart(figure, key=f"compare_{name}", height=height, link="compare")
    if repeats:
        st.caption(
            f"Left out of the means, because a newer run has the same settings and the same seed: "
            f"{plain(', '.join(repeats))}."
        )


def _line(name: str, group: Group, axis: str) -> Line:
    return Line(
        group.title,
        group.runs[0].settings.optimizer,
        [_curve(name, run, axis) for run in group.runs],
    )


def _curve(name: str, run: Job, axis: str) -> Curve:
    """Steps are the long table, so they are read only where they are needed."""
    epochs = epochs_of(run)
    steps = epochs if METRICS[name].of == "epochs" else steps_of(run)
    return curve_of(name, axis, steps, epochs, events_of(run))


# An ended run does not change; a resumed one has other arguments. The arrays are not written to.


@st.cache_resource(max_entries=48, show_spinner=False)
def _steps(key: int, finished: float, step: int) -> Columns:
    return service().store.records.steps(key)


@st.cache_resource(max_entries=256, show_spinner=False)
def _epochs(key: int, finished: float, step: int) -> Columns:
    return service().store.records.epochs(key)


@st.cache_resource(max_entries=256, show_spinner=False)
def _events(key: int, finished: float, step: int) -> list[Event]:
    return service().store.records.events(key)
