"""The flatness report on the page: measure what is missing, then say what the models say."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from samar.curvature.catalog import MEASURES
from samar.errors import RunError, SamarError
from samar.jobs.job import Job
from samar.networks.library import ImportedModel, imported_models
from samar.web.plotly_chart import plotly_chart
from samar.web.progress import progress
from samar.web.service import service, show_problem, unless
from samar.web.state import PROBLEM
from samar.web.text import plain

if TYPE_CHECKING:
    from samar.compare.flatness import FlatnessReport, Point

ASKED = "flatness_jobs"
"""Session: ids of the jobs that this tab submitted, to tell why one failed."""

HELP = (
    "Nine sharpness measures on 128 training images each; kept, so that it is done once. A small "
    "network takes a few seconds."
)

Networks = Sequence[Job | ImportedModel]


def flatness(chosen: Sequence[Job], everything: Sequence[Job]) -> None:
    """Draw the choice of models, the button that measures, and the report."""
    from samar.compare.measuring import known_measures, measurable, point_of

    imported = imported_models()
    with st.container(horizontal=True, key="flatness_models"):
        wide = st.toggle(
            "All runs with weights, not only the chosen ones",
            key="flatness_all",
            bind="query-params",
        )
        others = imported and st.toggle(
            f"Imported networks ({len(imported)})", key="flatness_imported", bind="query-params"
        )
    runs = list(everything if wide else chosen)
    usable: list[Job | ImportedModel] = [run for run in runs if measurable(run)]
    if left_out := len(runs) - len(usable):
        st.caption(f"{left_out} of these runs have no weights from their end and are left out.")
    if others:
        usable += imported
    found = {each.id: known_measures(service().store, each) for each in usable}
    missing = [each for each in usable if found[each.id] is None]
    if missing:
        _measure(missing, len(usable))
    points = [point_of(one, each) for one in usable if (each := found[one.id]) is not None]
    report = _related(points)
    with st.container(key="flatness_sentence"):
        st.markdown(f"**{plain(report.sentence)}**")
        for warning in report.warnings:
            st.caption(plain(warning))
    if points:
        _report(report)


@st.cache_resource(max_entries=8, show_spinner=False)
def _related(points: "Sequence[Point]") -> "FlatnessReport":
    """The report, which for hundreds of networks takes seconds, once for the same points."""
    from samar.compare.flatness import flatness_report

    return flatness_report(points)


def _measure(missing: Networks, count: int) -> None:
    """The button that submits what is missing, and how far its jobs are."""
    active = {each.id: _under_way(each) for each in missing}
    idle = [each for each in missing if not active[each.id]]
    if idle:
        st.button(
            f"Measure {len(idle)} network{'s' if len(idle) > 1 else ''}",
            type="primary",
            icon=":material/straighten:",
            key="flatness_measure",
            on_click=_submit,
            args=(idle,),
            **unless(service().cannot_start(), HELP),
        )
    show_problem()
    for job_id in st.session_state.get(ASKED, ()):
        with suppress(RunError):  # deleted meanwhile
            job = service().store.get(job_id)
            if job.status in ("failed", "interrupted"):
                title = plain(str(job.inputs["title"]))
                st.error(f"{title}: {plain(job.message)}", icon=":material/error:")
    if jobs := [job for jobs in active.values() for job in jobs]:
        _watch(jobs, f"{count - len(missing)} of {count} measured")


def _under_way(network: Job | ImportedModel) -> list[Job]:
    from samar.compare.measuring import jobs_found

    try:
        found = jobs_found(service().store, network)
    except SamarError:  # its images are not here: told when it is to be measured
        return []
    return [job for job in found if job is not None and job.active]


def _submit(networks: Networks) -> None:
    from samar.compare.measuring import called, jobs_wanted

    asked = st.session_state[ASKED] = []
    problems = []
    for network in networks:
        try:
            asked += [service().submit(settings) for settings in jobs_wanted(network)]
        except SamarError as error:
            problems.append(f"{called(network)}: {error}")
    if problems:
        st.session_state[PROBLEM] = " ".join(problems[:3])


def _watch(jobs: Sequence[Job], known: str) -> None:
    """Jobs run one after another; whenever one has ended, the page is drawn with what it found."""
    with st.container(key="flatness_progress"):
        first = next((job for job in jobs if job.status == "running"), jobs[-1])
        titles = {first.key: f"{known}; {first.inputs['title']}"}
        progress(jobs, key="flatness_bars", titles=titles)
        steer = next(filter(None, map(service().cannot_steer, jobs)), "")
        st.button(
            "Cancel",
            icon=":material/close:",
            key="flatness_cancel",
            on_click=_stop,
            args=([job.id for job in jobs],),
            **unless(steer),
        )


def _stop(ids: Sequence[str]) -> None:
    for job_id in reversed(ids):  # those that wait first, so that none of them begins
        with suppress(RunError):
            service().stop(job_id)


def _probability(p: float) -> str:
    return "" if math.isnan(p) else f"{p:.2g}"


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
        "Kendall's τ is the share of pairs of networks that both order alike minus the share that "
        "they order differently. Bars: 95 % percentile bootstrap over networks, 2,000 resamples. "
        "If flatter were better, the gap's τ would lie right of zero and the accuracy's left of it."
    )
    rows = [
        {
            "measure": MEASURES[name].title,
            "τ gap": gap.tau,
            "gap from": gap.low,
            "gap to": gap.high,
            "gap p": _probability(gap.p),
            "τ test accuracy": accuracy.tau,
            "accuracy from": accuracy.low,
            "accuracy to": accuracy.high,
            "accuracy p": _probability(accuracy.p),
            "networks": gap.n,
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
        for label, frame in (("Correlations (CSV)", table), ("Networks (CSV)", models)):
            st.download_button(
                label,
                frame.to_csv(index=False),
                f"samar-flatness-{label.split()[0].lower()}.csv",
                "text/csv",
                on_click="ignore",
                icon=":material/download:",
            )
