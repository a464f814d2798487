"""Curvature: how curved the loss is at a network's weights, measured by jobs of their own."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from samar.curvature.result import Report
from samar.jobs.job import Job
from samar.kinds.curvature import CurvatureJobSettings, report_of
from samar.web.curvature.choice import PREFIX, Wanted, choose, follow_link, problem_of_link
from samar.web.curvature.results import (
    show_at_work,
    show_eigenvalues,
    show_first,
    show_footer,
    show_rest,
    show_summary,
)
from samar.web.measuring import (
    First,
    buttons,
    find,
    find_first,
    how_to_repeat,
    images_there,
    watch,
)
from samar.web.plotly_chart import expect_charts
from samar.web.service import explained, service, show_problem
from samar.web.text import plain


def curvature_page() -> None:
    """Draw the page."""
    follow_link()
    problem = problem_of_link()
    with st.sidebar, explained():
        wanted = choose()
    settings = [each.settings for each in wanted]
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.header("Curvature", anchor=False, width="content")
        jobs: list[Job | None] = []
        first = First()
        if wanted:
            with explained():
                jobs = find(settings)
                first = find_first(settings, jobs)
            buttons(PREFIX, settings, jobs)
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    show_problem()
    if not wanted:
        st.info("Choose a run that has ended, an imported network or a checkpoint on the left.")
        return
    done, early = _finished(wanted, jobs), _finished(wanted, first.jobs)
    replaced = {
        job.id: (f"{report.images} images", report)
        for job, old in zip(jobs, first.jobs, strict=True)
        if job is not None and job.active and old is not None
        for _, known, report in early
        if known.id == old.id
    }
    active = any(job is not None and job.active for job in jobs)
    watch(CurvatureJobSettings.kind, jobs, partial(show_at_work, replaced), first)
    if done:
        named, finished = [(title, report) for title, _, report in done], [j for _, j, _ in done]
        show_eigenvalues(named, finished)
        show_summary(named, finished)
        show_rest(named)
        show_footer(named)
    elif early and not active:
        named = [(f"{title}, {report.images} images", report) for title, _, report in early]
        show_eigenvalues(named, [job for _, job, _ in early])
        show_first(named, images_there(settings[0]))
    elif not active and not first.active:
        expect_charts()
        st.markdown(
            "The Hessian says how the loss bends around the weights. Its largest eigenvalues are "
            "the sharpest directions, its trace the sum over all. Choose what to measure and press "
            "**Compute**; every number comes with its error."
        )
    how_to_repeat(settings)


def _finished(
    wanted: Sequence[Wanted], jobs: Sequence[Job | None]
) -> list[tuple[str, Job, Report]]:
    """The reports of the jobs that have finished, each once, with their networks' titles."""
    found: dict[str, tuple[str, Job, Report]] = {}
    for each, job in zip(wanted, jobs, strict=True):
        if job is not None and job.status == "finished":
            with explained():
                report = report_of(service().store, job)
            found.setdefault(job.id, (each.title, job, report))
    return list(found.values())
