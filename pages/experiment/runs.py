"""Runs: every run, what became of it, and what to do with it."""

import streamlit as st

from samar.web.runs.files import offer_import
from samar.web.runs.table import run_table
from samar.web.service import service
from samar.web.state import TRAIN_PAGE

st.header("Runs", anchor=False)
if service().all("train"):
    run_table()
else:
    st.info("No runs yet.", icon=":material/info:")
    st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
offer_import()
