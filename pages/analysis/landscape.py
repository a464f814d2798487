"""Landscape: the loss around a trained network, or around two."""

import streamlit as st

from samar.web.landscape.controls import choose_look, choose_pictures, choose_preview
from samar.web.landscape.view import show_footer, show_landscapes
from samar.web.landscape.work import (
    is_done,
    is_running,
    measure_next,
    newest,
    previews_of,
    start,
    stop,
)
from samar.web.service import explained
from samar.web.state import TRAIN_PAGE

st.header("Landscape", anchor=False)
with st.sidebar, explained():
    pictures = choose_pictures()
    preview = choose_preview()

if not pictures:
    st.info("Choose trained networks on the left.", icon=":material/arrow_back:")
    st.page_link(TRAIN_PAGE, label="Train one", icon=":material/play_circle:")
    st.stop()

running = is_running(pictures)
with st.container(horizontal=True, vertical_alignment="bottom", key="l_buttons"):
    quantity, log = choose_look()
    if running:
        st.button("Cancel", icon=":material/stop:", on_click=stop, key="l_cancel")
    elif not is_done(pictures):
        label = "Continue" if any(newest(picture) for picture in pictures) else "Compute"
        st.button(
            label,
            type="primary",
            icon=":material/play_arrow:",
            on_click=start,
            args=(pictures,),
            key="l_compute",
        )
bar = st.empty()

named = [(picture, found) for picture in pictures if (found := newest(picture)) is not None]
if named:
    show_landscapes(named, quantity, log)
    for picture, landscape in named:
        show_footer(picture, landscape)
else:
    st.info("Press **Compute**: the first picture takes 25 forward passes.")
with st.expander("How to repeat this"):
    st.code("\n".join(p.command for p in pictures), language="bash", wrap_lines=True)

if running:
    with explained():
        previews = previews_of(pictures) if preview else []
        measure_next(pictures if is_done(previews) else previews, bar.progress)
    if is_done(pictures):
        stop()
    st.rerun()
