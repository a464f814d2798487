"""Start: what this is, and one button that shows it."""

from importlib import import_module

import streamlit as st

from samar.runs.presets import DEFAULT_PRESET, PRESETS
from samar.ui.service import explained, service
from samar.ui.state import RUN, TRAIN_PAGE

preset = PRESETS[DEFAULT_PRESET]

st.title("See why flat minima matter")
st.markdown(
    "**samar** trains an image classifier with *adaptive sharpness regularization* and shows, "
    "while it learns, what usually stays invisible: how sharp the loss is around the weights, and "
    "how the strength λ answers."
)
st.markdown(f"**{preset.title}.** {preset.help}")
with st.container(horizontal=True):
    if st.button("Train now", type="primary", icon=":material/play_arrow:", key="train_now"):
        with explained():
            run_id = service().start(preset.config())
        st.switch_page(TRAIN_PAGE, query_params={RUN: run_id})
    st.page_link(TRAIN_PAGE, label="Choose the settings first", icon=":material/tune:")

st.subheader("What you will see")
for column, (icon, title, text) in zip(
    st.columns(4),
    (
        ("show_chart", "Losses and accuracies", "on training and test images, as they move."),
        (
            "tune",
            "The strength λ",
            "how hard it pulls towards flat regions, within its bounds.",
        ),
        (
            "compare_arrows",
            "The sharpness ratio",
            "the signal that drives λ: is it getting sharper or flatter?",
        ),
        ("balance", "The generalization gap", "how much better it does on images it has seen."),
    ),
    strict=True,
):
    with column.container(border=True, height="stretch"):
        st.markdown(f":material/{icon}: **{title}**  \n{text}")
st.caption(
    "Everything runs on this machine and without a network. Change a slider while it trains and "
    "watch the answer; close the tab and come back, the run goes on."
)

# While the reader reads: what the next page needs, so that it opens at once.
import_module("samar.ui.live")
