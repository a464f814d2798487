"""Playground: the optimizers on a loss of two parameters, step by step."""

import streamlit as st

from samar.playground.catalog import LANDSCAPES
from samar.playground.presets import PRESETS
from samar.web.playground.controls import choose_config, choose_look, choose_preset, reset
from samar.web.playground.view import show
from samar.web.presenting import presenting
from samar.web.service import explained

with explained(), st.sidebar, st.container(key="controls"):
    config = choose_config()
if not presenting():
    st.header("Playground", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom", key="playground_top"):
    preset = choose_preset(config)
    view, focus = choose_look()
    st.button("Reset", icon=":material/restart_alt:", on_click=reset, key="playground_reset")
with st.container(key="playground_text"):
    st.markdown(PRESETS[preset].help if preset else LANDSCAPES[config.landscape].help)
show(config, preset, view, focus)
