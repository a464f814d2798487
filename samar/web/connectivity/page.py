"""Connectivity: are two trained networks joined by a path of low loss? Measured by jobs."""

import streamlit as st

from samar.jobs.job import Job
from samar.kinds.connectivity import ConnectivityJobSettings, connection_of
from samar.web.connectivity.choice import PREFIX, choose, follow_link
from samar.web.connectivity.results import (
    show_barriers,
    show_footer,
    show_paths,
    show_planes,
    show_training,
)
from samar.web.controls import link_problem
from samar.web.measuring import buttons, find, find_first, how_to_repeat, problem_of_jobs, watch
from samar.web.plotly_chart import expect_charts
from samar.web.service import explained, service, show_problem
from samar.web.state import TRAIN_PAGE
from samar.web.text import plain

KIND = ConnectivityJobSettings.kind
WHAT = (
    "Two networks that were trained apart lie far from each other. On the straight line between "
    "them the loss mostly rises: a barrier. It can vanish in two ways: the second network's "
    "neurons are put into the order of the first's, which changes nothing of what it computes; or "
    "the path is bent. Choose two networks and press **Compute**."
)


def connectivity_page() -> None:
    """Draw the page."""
    follow_link()
    problem = link_problem(ConnectivityJobSettings, PREFIX) or problem_of_jobs(KIND)
    with st.sidebar, explained():
        wanted = choose()
    if wanted is None:
        st.subheader("Connectivity", anchor=False)
        if problem:
            st.warning(plain(problem), icon=":material/link_off:")
        st.info("Choose two trained networks on the left.", icon=":material/arrow_back:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
        return
    settings = [wanted.settings]
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="c_buttons",
    ):
        st.subheader("Connectivity", anchor=False, width="content")
        with explained():
            jobs = find(settings)
            first = find_first(settings, jobs)
        buttons(PREFIX, settings, jobs)
    if problem:
        st.warning(plain(problem), icon=":material/link_off:")
    show_problem()
    shown = _best(jobs[0], first.jobs[0] if first.jobs else None)
    if shown is not None:
        show_barriers(wanted, shown, rough=shown is not jobs[0])
    watch(KIND, jobs, first=first)
    if shown is None:
        expect_charts()
        st.markdown(WHAT)
    else:
        show_paths(shown)
        show_planes(shown)
        show_training(shown)
        show_footer(wanted, shown)
    how_to_repeat(settings)


def _best(job: Job | None, first: Job | None) -> Job | None:
    """The job to show: the one asked for as soon as it has a path, before it the first result."""
    for each in (job, first):
        if each is not None:
            with explained():
                if connection_of(service().store, each) is not None:
                    return each
    return None
