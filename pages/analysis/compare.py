"""Compare: several runs laid over each other, and whether flatness predicted generalization."""

import streamlit as st

from samar.web.compare.choice import choose
from samar.web.compare.curves import curves
from samar.web.compare.files import downloads
from samar.web.compare.flatness import flatness
from samar.web.compare.pair import pair
from samar.web.compare.settings import settings
from samar.web.service import service
from samar.web.state import TRAIN_PAGE

VIEWS = {
    "curves": "Curves",
    "settings": "Settings and results",
    "pair": "Two side by side",
    "flatness": "Flatness report",
}

st.header("Compare", anchor=False)
if not service().all("train"):
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
