"""The landscape film of a run: the newest picture, or any earlier one with λ and accuracy then."""

from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from samar.jobs.files import film_path
from samar.jobs.job import Job
from samar.web.plotly_chart import plotly_chart
from samar.web.service import history, service

if TYPE_CHECKING:
    from samar.landscape.result import Landscape

REFRESH_SECONDS = 2.0
LATEST = "newest"


def film(run: Job) -> None:
    """Draw the film's section, if the run takes one; it grows while the run is active."""
    if run.settings.film_every:
        st.fragment(_watch, run_every=REFRESH_SECONDS if run.active else None)(run.id)


def _watch(run_id: str) -> None:
    run = service().get(run_id)
    steps = service().store.records.steps_of(run.key, "film_plane")
    if not steps:
        return
    with st.container(key="film"):
        st.markdown("**Landscape film**")
        chosen: Any = LATEST
        if len(steps) > 1:
            chosen = st.select_slider(
                f"Picture (of {len(steps)})",
                options=[*steps, LATEST],
                value=LATEST,
                format_func=lambda step: step if step == LATEST else f"step {step}",
                key="film_step",
                help="The loss on 128 training images along two fixed random directions, "
                "normalized to the filters of the network at that step.",
            )
        step = steps[-1] if chosen == LATEST else int(chosen)
        st.caption(_moment(run, step))
        _pictures(run, step)


def _moment(run: Job, step: int) -> str:
    """λ and test accuracy at a step, in words."""
    records, epochs = history(run).refresh()
    words = [f"Step {step}"]
    at = int(np.searchsorted(records["step"], step))
    if at < len(records["step"]) and np.isfinite(records["lam"][at]):
        words.append(f"λ {records['lam'][at]:.3g}")
    at = int(np.searchsorted(epochs["step"], step))
    if at < len(epochs["step"]):
        words.append(f"test accuracy {epochs['test_accuracy'][at]:.1%}")
    return " · ".join(words)


def _pictures(run: Job, step: int) -> None:
    from samar.charts.landscape.scale import shared_look
    from samar.charts.landscape.slices import slices_figure
    from samar.charts.landscape.surface import contour_figure

    plane, line = (_load(run.id, kind, step) for kind in ("film_plane", "film_line"))
    look = shared_look([plane, line], "loss", log=False)
    with st.grid(2, min_column_width=360):
        plotly_chart(contour_figure(plane, look, "Plane"), key="film_plane", height=300)
        plotly_chart(slices_figure([("line", line)], look), key="film_line", height=300)


@st.cache_data(max_entries=64, show_spinner=False)
def _load(run_id: str, kind: str, step: int) -> "Landscape":
    from samar.landscape.result import Landscape

    return Landscape.load(film_path(run_id, kind, step))
