"""The landscape of a run over time: the newest, or any earlier one with λ and accuracy then."""

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from samar.jobs.files import job_dir
from samar.jobs.job import Job
from samar.jobs.records import Artifact
from samar.web.plotly_chart import plotly_chart
from samar.web.service import history, service

if TYPE_CHECKING:
    from samar.landscape.result import Landscape

REFRESH_SECONDS = 2.0
LATEST = "newest"
PLANE, LINE = "film_plane", "film_line"


def landscape_over_time(run: Job) -> None:
    """Draw the section, if the run measures landscapes; it grows while the run is active."""
    if run.settings.film_every:
        st.fragment(_watch, run_every=REFRESH_SECONDS if run.active else None)(run.id)


def frames(run: Job, kind: str) -> dict[int, Artifact]:
    """The landscapes that a run kept, by step, oldest first."""
    return {kept.step: kept for kept in service().store.records.artifacts(run.key, kind)}


def load_frame(run: Job, kept: Artifact) -> "Landscape":
    """One of them, read once.

    Raises:
        DataError: the file is missing or damaged.
    """
    return _load(run.id, kept.path, kept.at)


@st.cache_resource(max_entries=64, show_spinner=False)
def _load(run_id: str, path: str, _at: float) -> "Landscape":
    from samar.landscape.result import Landscape

    return Landscape.load(job_dir(run_id) / path)


def _watch(run_id: str) -> None:
    run = service().get(run_id)
    planes, lines = frames(run, PLANE), frames(run, LINE)
    steps = [step for step in planes if step in lines]
    if not steps:
        return
    with st.container(key="film"):
        st.markdown("**Landscape over time**")
        chosen: Any = LATEST
        if len(steps) > 1:
            chosen = st.select_slider(
                "Snapshot",
                options=[*steps, LATEST],
                value=LATEST,
                format_func=lambda step: step if step == LATEST else f"step {step}",
                key="film_step",
                help="The loss on 128 training images along two fixed random directions, "
                "normalized to the filters of the network at that step.",
            )
        step = steps[-1] if chosen not in steps else int(chosen)
        number = f"Snapshot {steps.index(step) + 1} of {len(steps)}"
        st.caption(" · ".join([number, *_moment(run, step)]))
        _draw(load_frame(run, planes[step]), load_frame(run, lines[step]))


def _moment(run: Job, step: int) -> list[str]:
    """λ and test accuracy at a step, in words."""
    records, epochs = history(run).refresh()
    words = [f"step {step}"]
    at = int(np.searchsorted(records["step"], step))
    if at < len(records["step"]) and np.isfinite(records["lam"][at]):
        words.append(f"λ {records['lam'][at]:.3g}")
    at = int(np.searchsorted(epochs["step"], step))
    if at < len(epochs["step"]):
        words.append(f"test accuracy {epochs['test_accuracy'][at]:.1%}")
    return words


def _draw(plane: "Landscape", line: "Landscape") -> None:
    from samar.charts.landscape.figures import contour_figure, slices_figure
    from samar.charts.landscape.scale import shared_scale

    scale = shared_scale([plane, line], "loss", log=False)
    with st.grid(2, min_column_width=360):
        plotly_chart(contour_figure(plane, scale, "Plane"), key="film_plane", height=300)
        plotly_chart(slices_figure([("line", line)], scale), key="film_line", height=300)
