"""Landscape: the loss around a trained network, or around two, measured by jobs of their own."""

import streamlit as st

from samar.kinds.landscape import LandscapeJobSettings
from samar.web.controls import link_problem
from samar.web.landscape.choice import PREFIX, choose, choose_view, follow_link
from samar.web.landscape.results import landscape_of, show_footer, show_landscapes
from samar.web.measuring import buttons, find, watch
from samar.web.plotly_chart import expect_charts
from samar.web.service import explained, show_problem
from samar.web.state import TRAIN_PAGE
from samar.web.text import plain

KIND = LandscapeJobSettings.kind


def landscape_page() -> None:
    """Draw the page."""
    follow_link()
    problem = link_problem(LandscapeJobSettings, PREFIX)
    with st.sidebar, explained():
        wanted = choose()
    if not wanted:
        st.subheader("Landscape", anchor=False)
        st.info("Choose trained networks on the left.", icon=":material/arrow_back:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
        return
    settings = [each.settings for each in wanted]
    with explained():
        jobs = find(settings)
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="bottom",
        key="l_buttons",
    ):
        st.subheader("Landscape", anchor=False, width="content")
        quantity, log = choose_view()
        buttons(PREFIX, settings, jobs)
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    show_problem()
    watch(KIND, jobs)
    found = [landscape_of(job) if job else None for job in jobs]
    if any(found):
        show_landscapes(wanted, found, quantity, log)
        for number, (each, job, landscape) in enumerate(zip(wanted, jobs, found, strict=True)):
            if job is not None and landscape is not None:
                show_footer(number, each, job, landscape)
    else:
        expect_charts()
        if not any(job is not None and job.active for job in jobs):
            st.info("Press **Compute**: the first picture takes 25 forward passes.")
    with st.expander("How to repeat this"):
        commands = "\n".join(each.command for each in settings)
        st.code(commands, language="bash", wrap_lines=True)
