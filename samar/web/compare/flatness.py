"""The flatness report on the page: measure what is missing, then say what the models say."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from samar.curvature.catalog import MEASURES
from samar.errors import SamarError
from samar.jobs.files import weights_path
from samar.jobs.job import Job
from samar.networks.library import ImportedModel, imported_models
from samar.web.plotly_chart import plotly_chart
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.compare.flatness import FlatnessReport

SHOW_EVERY = 0.2
CANCELLED = "flatness_cancel"


def flatness(chosen: Sequence[Job], everything: Sequence[Job]) -> None:
    """Draw the choice of models, the button that measures, and the report."""
    from samar.compare.flatness import flatness_report
    from samar.compare.measuring import known_measures, point_of

    imported = imported_models()
    with st.container(horizontal=True, key="flatness_models"):
        wide = st.toggle(
            "All runs with weights, not only the chosen ones",
            key="flatness_all",
            bind="query-params",
        )
        others = imported and st.toggle(
            f"Imported models ({len(imported)})", key="flatness_imported", bind="query-params"
        )
    runs = list(everything if wide else chosen)
    ended = [run for run in runs if run.last_epoch and not run.active]
    usable: list[Job | ImportedModel] = [run for run in ended if weights_path(run.id).is_file()]
    if left_out := len(runs) - len(usable):
        st.caption(f"{left_out} of these runs have no weights from their end and are left out.")
    if others:
        usable += imported
    found = {each.id: known_measures(each) for each in usable}
    missing = [each for each in usable if found[each.id] is None]
    if missing and _wanted(len(missing)):
        _measure(missing)
        st.rerun()
    points = [point_of(one, each) for one in usable if (each := found[one.id]) is not None]
    report = flatness_report(points)
    with st.container(key="flatness_sentence"):
        st.markdown(f"**{plain(report.sentence)}**")
        for warning in report.warnings:
            st.caption(plain(warning))
    if points:
        _report(report)


def _wanted(count: int) -> bool:
    """The button that measures what is missing."""
    return st.button(
        f"Measure {count} model{'s' if count > 1 else ''}",
        type="primary",
        icon=":material/straighten:",
        key="flatness_measure",
        help="Nine sharpness measures on 128 training images each; kept, so that it is done once. "
        "A small network takes a few seconds.",
    )


def _measure(networks: Sequence[Job | ImportedModel]) -> None:
    """Measure networks one after another; a click on Cancel ends it between two products."""
    from samar.compare.measuring import measured

    place, shown = st.empty(), 0.0
    with place.container():
        bar = st.progress(0.0, "Loading networks…")
        st.button("Cancel", icon=":material/close:", key=CANCELLED)
    problems = []
    for number, network in enumerate(networks):

        def progress(sentence: str, number: int = number) -> None:
            nonlocal shown
            if time.monotonic() - shown > SHOW_EVERY:
                # Writing to the page is also where a click interrupts the script.
                words = f"{number + 1} of {len(networks)}: {plain(sentence)}"
                bar.progress(number / len(networks), words)
                shown = time.monotonic()

        try:
            measured(network, progress)
        except SamarError as error:
            problems.append(f"{network.title}: {error}")
    place.empty()
    if problems:
        st.error(plain(" ".join(problems[:3])), icon=":material/error:")
        st.stop()


def _report(report: "FlatnessReport") -> None:
    from samar.charts.compare.flatness import association_figure, flatness_scatter

    measure = st.selectbox(
        "Measure",
        list(MEASURES),
        format_func=lambda name: MEASURES[name].title,
        key="flatness_measure_shown",
        help="  \n".join(f"**{info.title}**: {info.caveat}" for info in MEASURES.values()),
        width=320,
    )
    with st.grid(2, min_column_width=360):
        for target in ("gap", "test_accuracy"):
            figure = flatness_scatter(report, measure or next(iter(MEASURES)), target)
            plotly_chart(figure, key=f"flatness_{target}", height=320)
    plotly_chart(association_figure(report), key="flatness_tau", height=420)
    st.caption(
        "Kendall's τ is the share of pairs of models that both order alike minus the share that "
        "they order differently. Bars: 95 % percentile bootstrap over models, 2,000 resamples. If "
        "flatter were better, the gap's τ would lie right of zero and the accuracy's left of it."
    )
    rows = [
        {
            "measure": MEASURES[name].title,
            "τ gap": gap.tau,
            "gap from": gap.low,
            "gap to": gap.high,
            "gap p": f"{gap.p:.2g}",
            "τ test accuracy": accuracy.tau,
            "accuracy from": accuracy.low,
            "accuracy to": accuracy.high,
            "accuracy p": f"{accuracy.p:.2g}",
            "models": gap.n,
            "same after rescaling layers": "yes" if MEASURES[name].invariant else "no",
        }
        for (name, gap), accuracy in zip(report.gap.items(), report.accuracy.values(), strict=True)
    ]
    table = pd.DataFrame(rows)
    st.dataframe(table.round(3), hide_index=True, key="flatness_table", placeholder="")
    models = pd.DataFrame(
        [
            {
                "run": point.id,
                "title": point.title,
                "optimizer": point.optimizer,
                "gap": point.gap,
                "test_accuracy": point.test_accuracy,
                **point.measures,
            }
            for point in report.points
        ]
    )
    with st.container(horizontal=True):
        for label, frame in (("Correlations (CSV)", table), ("Models (CSV)", models)):
            st.download_button(
                label,
                frame.to_csv(index=False),
                f"samar-flatness-{label.split()[0].lower()}.csv",
                "text/csv",
                on_click="ignore",
                icon=":material/download:",
            )
