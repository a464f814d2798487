"""Curves of several runs: any quantity, over steps, gradient evaluations or seconds."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from samar.charts.compare.curves import Line, overlay_figure, overlay_height
from samar.charts.training import View
from samar.compare.groups import Group, group_by_seed, left_out, titles_of, unfinished
from samar.compare.metrics import METRICS, curve_of
from samar.errors import RunError
from samar.jobs.job import Job
from samar.jobs.records import Event
from samar.web.plotly_chart import choose_view, plotly_chart
from samar.web.progress import progress
from samar.web.service import explained, history, service

REST_MS = 2000
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
    draw = st.fragment(explained()(_draw))
    draw([run.id for run in runs], shown, bool(together), view, any(run.active for run in runs))


def runs_of(ids: Sequence[str]) -> list[Job]:
    """Runs as they stand now, without those that were deleted."""
    found = []
    for run_id in ids:
        with suppress(RunError):
            found.append(service().get(run_id, "train"))
    return found


def events_of(run: Job) -> list[Event]:
    """What happened to a run."""
    return service().store.records.events(run.key)


def _draw(
    ids: Sequence[str], shown: Sequence[str], together: bool, view: View, was_active: bool
) -> None:
    runs = runs_of(ids)
    if was_active and not any(run.active for run in runs):
        st.rerun()
    groups = group_by_seed(runs)
    told = left_out(groups, runs) if together else ""
    if not together:
        alone = [(run,) for run in runs]
        groups = [Group(t, g) for t, g in zip(titles_of(alone), alone, strict=True)]
    elif view.x != "step":  # such a mean goes as far as its shortest run
        told = f"{told} {unfinished(groups)}".strip()
        groups = [replace(group, runs=group.finished or group.runs) for group in groups]
    recorded = {run.id: (*history(run).refresh(), events_of(run)) for run in runs}
    with st.grid(2, min_column_width=360):
        for name in shown:
            lines = [
                Line(
                    group.title,
                    group.runs[0].settings.optimizer,
                    [curve_of(name, view.x, *recorded[run.id]) for run in group.runs],
                )
                for group in groups
            ]
            figure = overlay_figure(
                lines, METRICS[name], x=view.x, log=view.log, smoothing=view.smoothing
            )
            height = overlay_height(lines)
            plotly_chart(figure, key=f"compare_{name}", height=height, link="compare")
    if told:
        st.caption(told)
    if was_active:
        progress(runs, key="curves_progress", titles={}, rest=REST_MS)
