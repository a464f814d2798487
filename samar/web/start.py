"""The start page: a recorded run that moves at once, and three doors."""

from importlib import import_module

import streamlit as st

from samar.errors import DataError
from samar.training.presets import DEFAULT_PRESET, PRESETS
from samar.web.learn.glossary import glossary_style, prose
from samar.web.plotly_chart import figure_json, plotly_chart
from samar.web.presenting import carried
from samar.web.service import explained, service
from samar.web.state import COMPARE_PAGE, LESSON, LESSONS_PAGE, RUN, TRAIN_PAGE

PRESET = PRESETS[DEFAULT_PRESET]
RECORDING, SAMAR, SGD = "noisy_digits", "samar_0", "sgd_0"


def show() -> None:
    """Draw the page."""
    glossary_style()
    st.title("See why flat minima matter", anchor=False)
    prose(
        "**samar** trains an image classifier so that it ends in a [[flat]] place, and shows while "
        "it learns what usually stays invisible: the [[sharpness]] around the [[weights]], the "
        "[[ratio]] that says whether it grows, and the [[lam|strength λ]] that SAMAR adjusts in "
        "response."
    )
    _doors()
    prose(
        ":violet-badge[:material/history: replay] This run was recorded: SAMAR on handwritten "
        "digits, 40 % of them with a wrong label. Beside it SGD, from the same weights. SGD "
        "memorizes the wrong labels; SAMAR mostly does not (6 %). In the landscapes dark is a low "
        "[[loss]] and yellow a high one; the cross is the network."
    )
    _replay()
    with st.container(horizontal=True):
        st.page_link(
            LESSONS_PAGE, label="What you have just seen: lesson 4, who memorizes?",
            icon=":material/arrow_forward:", query_params={LESSON: "4", **carried()},
        )  # fmt: skip
        st.page_link("pages/learn/glossary.py", label="Glossary", icon=":material/dictionary:")
    st.caption(
        "Everything runs on this machine and without a network. Close the tab and come back: a run "
        "goes on without you."
    )
    # While the reader reads: what the next page needs, so that it opens at once.
    import_module("samar.web.train.live")


def _doors() -> None:
    doors = st.columns(3)
    with doors[0].container(border=True, height="stretch", key="door_play"):
        st.markdown(
            "**Play with the idea**  \nTwo weights, two valleys, four optimizers, no waiting."
        )
        with st.container(horizontal=True):
            st.page_link(
                "pages/learn/playground.py", label="Open the playground", icon=":material/toys:",
                query_params=carried(),
            )  # fmt: skip
            st.page_link(
                LESSONS_PAGE, label="Lessons", icon=":material/school:",
                query_params={LESSON: "1", **carried()},
            )  # fmt: skip
    with doors[1].container(border=True, height="stretch", key="door_train"):
        st.markdown(f"**Train now**  \n{PRESET.help}")
        with st.container(horizontal=True, vertical_alignment="center"):
            if st.button(
                "Train now", type="primary", icon=":material/play_arrow:", key="train_now"
            ):
                with explained():
                    run_id = service().submit(PRESET.config())
                st.switch_page(TRAIN_PAGE, query_params={RUN: run_id, **carried()})
            st.page_link(
                TRAIN_PAGE, label="Settings first", icon=":material/tune:", query_params=carried()
            )
    with doors[2].container(border=True, height="stretch", key="door_compare"):
        st.markdown("**Compare**  \nLay your runs over each other: mean and deviation over seeds.")
        st.page_link(
            COMPARE_PAGE, label="Open Compare", icon=":material/compare:", query_params=carried()
        )


def _replay() -> None:
    """Draw the charts; they play once, and again at a press of play or the space bar."""
    try:
        figures = _figures()
    except DataError as error:
        st.warning(str(error), icon=":material/history:")
        return
    with st.grid(2, min_column_width=360):
        for name, figure in figures.items():
            plotly_chart(figure, key=f"replay_{name}", height=250, clock="replay", play="start")


@st.cache_resource(show_spinner=False)
def _figures() -> dict[str, str]:
    from samar.charts.replay import replay_figures
    from samar.recordings.catalog import recording

    runs = recording(RECORDING).runs
    return {
        name: figure_json(figure) for name, figure in replay_figures(runs[SAMAR], runs[SGD]).items()
    }
