"""Two runs side by side: their newest landscapes at one scale, and their recorded curvature."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from samar.charts.compare.curves import Line, overlay_figure
from samar.compare.metrics import METRICS, curve_of
from samar.jobs.job import Job
from samar.networks.load import networks
from samar.web.compare.curves import events_of
from samar.web.plotly_chart import plotly_chart
from samar.web.service import history, service
from samar.web.state import CURVATURE_PAGE, LANDSCAPE_PAGE
from samar.web.text import plain
from samar.web.train.stage import planes


def pair(runs: Sequence[Job]) -> None:
    """Draw the choice of two, their landscapes and curvature, and links to measure anew."""
    known = {run.id: run for run in runs}
    with st.container(horizontal=True, key="compare_pair"):
        ids = [
            st.selectbox(
                label,
                list(known),
                index=min(number, len(known) - 1),
                format_func=lambda run_id: known[run_id].label,
                key=f"pair_{number + 1}",
            )
            for number, label in enumerate(("Left", "Right"))
        ]
    two = [known[run_id or runs[0].id] for run_id in ids]
    _landscapes(two)
    _curvature(two)
    _links(two)


def _links(runs: Sequence[Job]) -> None:
    """To the pages that measure anew, with both runs chosen there."""
    usable = {info.id for info in networks(service().store)}
    if any(run.id not in usable for run in runs):
        st.caption("A run without saved weights cannot be measured.")
        return
    first, second = (run.id for run in runs)
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


def _landscapes(runs: Sequence[Job]) -> None:
    """The loss on the plane that each run measured last, in one range of colours."""
    from samar.charts.landscape.figures import contour_figure
    from samar.charts.landscape.scale import shared_scale

    newest = [planes(run)[-1:] for run in runs]
    st.markdown("**The newest landscape of each run, one scale**")
    measured = [plane.landscape for kept in newest for plane in kept]
    if not measured:
        st.info(
            "Neither run measured its landscape while it trained: that was switched off, or there "
            "was no time for it. Measure both below.",
            icon=":material/landscape:",
        )
        return
    scale = shared_scale(measured, "loss", log=True)
    columns = zip(st.columns(2), ("left", "right"), runs, newest, strict=True)
    for column, side, run, kept in columns:
        with column:
            if not kept:
                st.info(f"{plain(run.label)} measured none.", icon=":material/landscape:")
            for plane in kept:
                title = f"{run.label}, step {plane.step}"
                figure = contour_figure(plane.landscape, scale, title)
                plotly_chart(figure, key=f"pair_{side}", height=340, link="pair")
    images = [plain(str(plane.manifest.get("images", "some"))) for plane in measured]
    shown = images[0] if len(set(images)) == 1 else "{} (left) and {} (right)".format(*images)
    st.caption(
        f"The loss on {shown} training images along two random directions, normalized to "
        "the filters of each network."
    )


def _curvature(runs: Sequence[Job]) -> None:
    rows, lines = [], []
    for run in runs:
        found = [event for event in events_of(run) if event.kind == "curvature"]
        if found:
            last = found[-1].detail
            rows.append(
                {
                    "run": run.label,
                    "step": found[-1].step,
                    **dict(zip(("h₁", "h₂", "h₃"), last["values"], strict=False)),
                    "± (h₁)": last["residuals"][0],
                    "trace": last["trace"],
                    "± (trace)": last.get("trace_error"),
                    "2/η": 2 / last["lr"] if last["lr"] else None,
                }
            )
        curve = curve_of("lambda_max", "step", *history(run).refresh(), events_of(run))
        lines.append(Line(run.label, run.settings.optimizer, [curve]))
    st.markdown("**Hessian, as recorded between epochs**")
    if not rows:
        st.info("Neither run measured its curvature.", icon=":material/ssid_chart:")
        return
    figure = overlay_figure(lines, METRICS["lambda_max"], log=True)
    plotly_chart(figure, key="pair_lambda_max", height=340)
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="pair_spectrum", placeholder="")
    if len({row["step"] for row in rows}) > 1:
        st.caption(
            "The last measurements were at different steps; to compare one moment, measure anew."
        )
