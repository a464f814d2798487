"""Landscape: the loss around a trained network, or around two, measured by jobs of their own."""

import streamlit as st

from samar.kinds.landscape import LandscapeJobSettings
from samar.web.controls import link_problem
from samar.web.landscape.choice import PREFIX, choose, choose_view, follow_link
from samar.web.landscape.results import (
    best,
    scale_of,
    show_footer,
    show_rest,
    show_state,
    show_top,
)
from samar.web.landscape.topology import find_topology, show_topology
from samar.web.measuring import (
    First,
    buttons,
    find,
    find_first,
    how_to_repeat,
    problem_of_jobs,
    watch,
)
from samar.web.service import explained, show_problem
from samar.web.state import TRAIN_PAGE
from samar.web.text import plain

KIND = LandscapeJobSettings.kind


def landscape_page() -> None:
    """Draw the page."""
    foreign = follow_link()
    problem = foreign or link_problem(LandscapeJobSettings, PREFIX) or problem_of_jobs(KIND)
    with st.sidebar, explained():
        wanted = choose()
    if not wanted:
        st.subheader("Landscape", anchor=False)
        if problem:
            st.warning(plain(problem), icon=":material/link_off:")
        st.info("Choose trained networks on the left.", icon=":material/arrow_back:")
        st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
        return
    settings = [each.settings for each in wanted]
    with explained():
        jobs = find(settings)
        first = First([None] * len(jobs)) if foreign else find_first(settings, jobs)
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
    shown = [best(*each) for each in zip(wanted, jobs, first.jobs, strict=True)]
    scale = scale_of(shown, quantity, log)
    note = "Press Compute."
    if first.active or any(job is not None and job.active for job in jobs):
        note = f"The first picture comes after {settings[0].first_picture} points."
    elif first.behind:
        note = "The first picture comes after<br>the measurement at work."
    topology = find_topology(shown)
    trees = [each.tree for each in topology]
    top = st.container()
    if scale is not None:
        show_state(shown, scale)
    with top:
        show_top(wanted, shown, scale, note, trees)
    watch(KIND, jobs, first=first)
    if scale is not None:
        show_rest(shown, scale, trees)
        show_topology(shown, topology, scale)
        for number, each in enumerate(shown):
            if each is not None:
                show_footer(number, each, topology[number].told, scale)
    how_to_repeat(settings)
