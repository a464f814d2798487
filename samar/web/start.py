"""The start page: a recorded race that moves at once, and two ways on."""

from importlib import import_module
from typing import Any

import streamlit as st

from samar.charts.html.render import render
from samar.errors import DataError
from samar.jobs.pace import EPOCH
from samar.training.presets import DEFAULT_PRESET, PRESETS
from samar.web.learn.glossary import glossary_style, prose
from samar.web.pages import PAGES
from samar.web.person import SUPPOSED, supposed
from samar.web.presenting import carried
from samar.web.service import explained, service, unless
from samar.web.stage import replay
from samar.web.state import COMPARE_PAGE, LESSON, LESSONS_PAGE, RUN, TRAIN_PAGE

PRESET = PRESETS[DEFAULT_PRESET]
RECORDING, SAMAR, SGD = "noisy_digits", "samar_0", "sgd_0"
RACED = "sgd,samar"
"""Who races: the two of the recording."""

TILES = ("landscape", "lam", "ratio")
POINTS, IMAGES = 9, 512
"""Of the measured 17 × 17 points those in the middle are drawn: half the distance."""
CAPTION = (
    ":violet-badge[:material/history: replay] A recorded race. Height and colour: the loss around "
    "each network, on one scale. Drag a landscape to turn it, and the bar to go back in time."
)


def show() -> None:
    """Draw the page."""
    st.html(render("start.html.j2"))
    with st.container(horizontal=True, vertical_alignment="bottom", key="start_head"):
        words = st.container(gap="small", key="start_words")
        words.title("See why flat minima matter", anchor=False)
        with st.container(horizontal=True, width="content", key="start_doors"):
            _doors()
    try:
        message, sentence = _race()
    except DataError as error:
        st.warning(str(error), icon=":material/history:")
    else:
        words.markdown(sentence)
        with st.container(key="hero"):
            replay(message, key="recorded_race", loop=True)
        st.caption(CAPTION)
    _links()
    glossary_style()
    prose(
        "**samar** trains an image classifier so that it ends in a [[flat]] place, and shows while "
        "it learns what usually stays invisible: the [[sharpness]] around the [[weights]], the "
        "[[ratio]] that says whether it grows, and the [[lam|strength λ]] that SAMAR adjusts in "
        "response. Everything runs on this machine, without a network."
    )
    if supposed(st.context.headers):
        st.caption(SUPPOSED)
    # While the reader reads: what the next page needs, so that it opens at once.
    import_module("samar.web.train.stage")


def _doors() -> None:
    help = "Trains SGD and SAMAR side by side on this machine, on digits with wrong labels."
    if st.button(
        "Race them now", type="primary", icon=":material/sports_score:", key="race_now",
        **unless(service().cannot_start(), help),
    ):  # fmt: skip
        from samar.kinds.race import RaceSettings
        from samar.recordings import recording

        with explained():
            shown = recording(RECORDING).runs[SAMAR].config
            race = RaceSettings.parse(PRESET.changes | {"rho": shown["rho"], "optimizers": RACED})
            race_id = service().submit(race, pace=EPOCH)
        st.switch_page(TRAIN_PAGE, query_params={RUN: race_id, **carried()})
    if st.button("Play with two weights", icon=":material/toys:", key="play_now"):
        st.switch_page(PAGES["playground"].path, query_params=carried())


def _links() -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="start_links"):
        if st.button(
            "Train now", type="tertiary", icon=":material/play_arrow:", key="train_now",
            **unless(service().cannot_start(), f"One run of SAMAR. {PRESET.help}"),
        ):  # fmt: skip
            with explained():
                run_id = service().submit(PRESET.config(), pace=EPOCH)
            st.switch_page(TRAIN_PAGE, query_params={RUN: run_id, **carried()})
        links: tuple[tuple[str, str, str, dict[str, str]], ...] = (
            (TRAIN_PAGE, "Settings first", "tune", {}),
            (LESSONS_PAGE, "Lesson 4: who memorizes?", "school", {LESSON: "4"}),
            (LESSONS_PAGE, "All lessons", "menu_book", {LESSON: "1"}),
            (COMPARE_PAGE, "Compare", "compare", {}),
            (PAGES["glossary"].path, "Glossary", "dictionary", {}),
        )
        for page, label, icon, query in links:
            st.page_link(
                page, label=label, icon=f":material/{icon}:", query_params={**query, **carried()}
            )


@st.cache_resource(show_spinner=False)
def _race() -> tuple[dict[str, Any], str]:
    """What the stage is told of the recorded race, and the sentence that says what it shows."""
    from samar.charts.stage.recorded import memorized, recorded_run, recorded_stage
    from samar.recordings import recording

    runs = recording(RECORDING).runs
    raced = [runs[SGD], runs[SAMAR]]
    shown = [
        recorded_run(run, name, IMAGES, POINTS)
        for run, name in zip(raced, ("SGD", "SAMAR"), strict=True)
    ]
    message = recorded_stage(raced, shown, TILES)
    noise = 100 * runs[SAMAR].config["label_noise"]
    return message, (
        f"Two networks learn handwritten digits, {noise:.0f} % of them with a wrong label. "
        f"SGD memorizes the wrong labels; SAMAR mostly does not ({memorized(runs[SAMAR]):.0f} %)."
    )
