"""Sweeps: many settings over several seeds, compared fairly."""

import streamlit as st

from samar.web.service import explained
from samar.web.state import shown_sweep
from samar.web.sweeps.base import base_panel
from samar.web.sweeps.form import follow_link, new_sweep
from samar.web.sweeps.list import sweep_list
from samar.web.sweeps.view import sweep_page

sweep_id = shown_sweep()
if sweep_id is not None:
    sweep_page(sweep_id)
    st.stop()

follow_link()
with st.sidebar:
    base_panel()
st.header("Sweeps", anchor=False)
st.markdown(
    "Try settings over several seeds and compare them fairly: the best is chosen on held-out "
    "training images, the test accuracy is that of the last epoch, and runs with one seed share "
    "initial weights and data order. A sweep goes on when this tab is closed."
)
with st.container(border=True), explained():
    new_sweep()
sweep_list()
