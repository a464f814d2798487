"""Train: choose the settings, start, steer and watch."""

import streamlit as st

from samar.runs import command_line
from samar.ui.controls import config_from_controls
from samar.ui.downloads import offer_download
from samar.ui.film import film
from samar.ui.live import choose_look, live_run
from samar.ui.run_buttons import run_buttons
from samar.ui.service import explained, run_of
from samar.ui.settings_panel import settings_panel
from samar.ui.state import shown_run
from samar.ui.text import plain

run_id = shown_run()
run = run_of(run_id) if run_id else None

with st.sidebar:
    settings_panel(run)

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.subheader(plain(run.title) if run else "Train", anchor=False, width="content")
    run_buttons(run)

if run is None:
    st.info("Choose the settings on the left and press **Start**.", icon=":material/arrow_back:")
    offer_download(st.session_state["dataset"])
else:
    if run.message:
        box = st.warning if run.status in ("failed", "diverged", "interrupted") else st.info
        box(plain(run.message))
    live_run(run, choose_look())
    film(run)

with st.expander("How to repeat this"):
    with explained():
        config = run.config if run else config_from_controls()
    st.code(command_line(config), language="bash", wrap_lines=True)
