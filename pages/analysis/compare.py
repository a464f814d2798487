"""Compare: several runs laid over each other, and whether flatness predicted generalization."""

import streamlit as st

from samar.ui.compare_choice import choose
from samar.ui.compare_curves import curves
from samar.ui.compare_files import downloads
from samar.ui.compare_flatness import flatness
from samar.ui.compare_pair import pair
from samar.ui.compare_settings import settings
from samar.ui.service import service
from samar.ui.state import TRAIN_PAGE

VIEWS = {
    "curves": "Curves",
    "settings": "Settings and results",
    "pair": "Two side by side",
    "flatness": "Flatness report",
}

st.header("Compare", anchor=False)
if not service().all():
    st.info("No runs yet.", icon=":material/info:")
    st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
    st.stop()

chosen = choose()
view = st.segmented_control(
    "View",
    list(VIEWS),
    default="curves",
    required=True,
    format_func=VIEWS.__getitem__,
    key="compare_view",
    bind="query-params",
    label_visibility="collapsed",
)
if view == "flatness":
    flatness(chosen.runs, chosen.all)
elif len(chosen.runs) < (2 if view == "pair" else 1):
    st.info("Choose two or more runs above.", icon=":material/arrow_upward:")
elif view == "settings":
    settings(chosen.runs)
elif view == "pair":
    pair(chosen.runs)
else:
    curves(chosen.runs)
if chosen.runs:
    downloads(chosen.runs)
