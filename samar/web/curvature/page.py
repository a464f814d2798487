"""Curvature: how curved the loss is at a network's weights, measured by jobs of their own."""

import streamlit as st

from samar.errors import DataError
from samar.jobs.job import Job
from samar.kinds.curvature import CurvatureJobSettings, report_of
from samar.web.curvature.choice import PREFIX, choose, follow_link, problem_of_link
from samar.web.curvature.results import show_estimates, show_footer, show_reports
from samar.web.measuring import buttons, find, watch
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
        if wanted:
            with explained():
                jobs = find(settings)
            buttons(PREFIX, settings, jobs)
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    show_problem()
    if not wanted:
        st.info("Choose a run that has ended, an imported model or a weights file on the left.")
        return
    watch(CurvatureJobSettings.kind, jobs, show_estimates)
    done = [
        (each.title, job)
        for each, job in zip(wanted, jobs, strict=True)
        if job is not None and job.status == "finished"
    ]
    if done:
        try:
            named = [(title, report_of(service().store, job)) for title, job in done]
        except DataError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        show_reports(named, [job for _, job in done])
        show_footer(named)
    elif not any(job is not None and job.active for job in jobs):
        expect_charts()
        st.markdown(
            "The Hessian says how the loss bends around the weights. Its largest eigenvalues are "
            "the sharpest directions, its trace the sum over all. Choose what to measure and press "
            "**Compute**; every number comes with its error."
        )
    with st.expander("How to repeat this"):
        commands = "\n".join(each.command for each in settings)
        st.code(commands, language="bash", wrap_lines=True)
