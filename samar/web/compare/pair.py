"""Two runs side by side: their newest film picture at one scale, and their recorded curvature."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from samar.charts.compare.curves import Line, overlay_figure
from samar.compare.groups import Curve
from samar.compare.metrics import METRICS, curve_of
from samar.jobs.files import film_path
from samar.jobs.job import Job
from samar.networks.load import subjects
from samar.web.compare.curves import events_of, steps_of
from samar.web.plotly_chart import plotly_chart
from samar.web.service import explained, service
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.landscape.result import Landscape


def pair(runs: Sequence[Job]) -> None:
    """Draw the choice of two, their pictures, and links to measure anew."""
    known = {run.id: run for run in runs}
    with st.container(horizontal=True, key="compare_pair"):
        ids = [
            st.selectbox(
                label,
                list(known),
                index=min(number, len(known) - 1),
                format_func=lambda run_id: f"{known[run_id].title} · {run_id}",
                key=f"pair_{number + 1}",
            )
            for number, label in enumerate(("Left", "Right"))
        ]
    left, right = (known[run_id or runs[0].id] for run_id in ids)
    _pictures((left, right))
    _curvature((left, right))
    _links((left, right))


def _links(runs: tuple[Job, Job]) -> None:
    """To the pages that measure anew, with both runs chosen there."""
    labels = {info.id: info.label for info in subjects(service())}
    if any(run.id not in labels for run in runs):
        st.caption("A run without saved weights cannot be measured.")
        return
    first, second = (labels[run.id] for run in runs)
    with st.container(horizontal=True, key="pair_links"):
        st.page_link(
            LANDSCAPE_PAGE,
            label="Measure both landscapes",
            icon=":material/landscape:",
            query_params={"l_of": "two", "l_run": first, "l_run2": second},
        )
        st.page_link(
            CURVATURE_PAGE,
            label="Measure both spectra",
            icon=":material/ssid_chart:",
            query_params={
                "curvature_of": "two",
                "curvature_run1": first,
                "curvature_run2": second,
            },
        )


def _pictures(runs: tuple[Job, Job]) -> None:
    """The loss on the plane of each run's film, in one range of colours."""
    from samar.charts.landscape.scale import shared_look
    from samar.charts.landscape.surface import contour_figure

    with explained():
        pictures = [(run, _newest(run)) for run in runs]
    found = [(run, step, picture) for run, (step, picture) in pictures if picture is not None]
    st.markdown("**The newest picture of each run's film, one scale**")
    if not found:
        st.info(
            "Neither run took a film of its landscape (its settings had film every 0 epochs, or "
            "there was no time). Measure both below.",
            icon=":material/landscape:",
        )
        return
    look = shared_look([picture for _, _, picture in found], "loss", log=True)
    columns = st.columns(2)
    for column, run in zip(columns, runs, strict=True):
        mine = [(step, picture) for other, step, picture in found if other is run][:1]
        with column:
            if not mine:
                st.info(f"{plain(run.title)} took no film.", icon=":material/landscape:")
            for step, picture in mine:
                side = "left" if column is columns[0] else "right"
                figure = contour_figure(picture, look, f"{run.title}, step {step}")
                plotly_chart(figure, key=f"pair_{side}", height=340, link="pair")
    st.caption(
        "The loss on 128 training images along two random directions, normalized to the filters "
        "of each network."
    )


def _curvature(runs: tuple[Job, Job]) -> None:
    lines, rows = [], []
    for run in runs:
        looks = [event for event in events_of(run) if event.kind == "curvature"]
        if looks:
            last = looks[-1].detail
            rows.append(
                {
                    "run": run.title,
                    "step": looks[-1].step,
                    **{f"λ_{i + 1}": value for i, value in enumerate(last["values"][:3])},
                    "± (λ_1)": last["residuals"][0],
                    "trace": last["trace"],
                    "± (trace)": last.get("trace_error"),
                    "2/η": 2 / last["lr"] if last["lr"] else None,
                }
            )
        lines.append(Line(run.title, run.settings.optimizer, [_largest(run)]))
    st.markdown("**Hessian, as recorded between epochs**")
    if not rows:
        st.info("Neither run looked at its curvature.", icon=":material/ssid_chart:")
        return
    figure = overlay_figure(lines, METRICS["lambda_max"], log=True)
    plotly_chart(figure, key="pair_lambda_max", height=340)
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="pair_spectrum", placeholder="")
    if len({row["step"] for row in rows}) > 1:
        st.caption("The last looks were at different steps; to compare one moment, measure anew.")


def _largest(run: Job) -> Curve:
    return curve_of("lambda_max", "step", steps_of(run), {}, events_of(run))


def _newest(run: Job) -> "tuple[int, Landscape | None]":
    artifacts = service().store.records.artifacts(run.key)
    steps = [artifact.step for artifact in artifacts if artifact.kind == "film_plane"]
    return (steps[-1], _load(run.id, steps[-1])) if steps else (0, None)


@st.cache_data(max_entries=64, show_spinner=False)
def _load(run_id: str, step: int) -> "Landscape":
    from samar.landscape.result import Landscape

    return Landscape.load(film_path(run_id, "film_plane", step))
