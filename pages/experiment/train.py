"""Train: choose the settings, start, steer and watch."""

import streamlit as st

from samar.training.settings import command_line
from samar.web.controls import settings_from_controls
from samar.web.service import explained, run_of
from samar.web.state import shown_run
from samar.web.text import plain
from samar.web.train.buttons import run_buttons
from samar.web.train.download import offer_download
from samar.web.train.frames import film
from samar.web.train.live import choose_look, live_run
from samar.web.train.settings_panel import settings_panel

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
        config = run.settings if run else settings_from_controls()
    st.code(command_line(config), language="bash", wrap_lines=True)
