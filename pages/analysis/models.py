"""Models: networks trained elsewhere. Load one, see at once whether it was read right, use it."""

import streamlit as st

from samar.web.models.list import keep_buttons, show_models, show_public
from samar.web.models.result import show_accuracy, show_recognized, show_trials, tried
from samar.web.models.source import choose_file, choose_images, choose_network, choose_normalization
from samar.web.service import explained

st.header("Models", anchor=False)
st.markdown(
    "Load a network that was trained elsewhere. It is recognized by its tensors, its normalization "
    "is found by trying, and its accuracy shows whether both are right."
)
load = st.container(border=True, key="models_load")
st.subheader("Imported models", anchor=False)
show_models()
st.subheader("Public checkpoints", anchor=False)
show_public()

# Drawn last: measuring takes its time, and a file that is refused ends the script.
with load, explained():
    examined = choose_file()
    if examined is None:
        choose_images()
    else:
        fit = choose_network(examined)
        show_recognized(examined, fit)
        if fit.fits:
            with st.grid(2, min_column_width=320):
                found = examined.recognition
                images = choose_images(found.channels, found.classes)
                normalize = choose_normalization(examined)
            result = tried(examined, fit, images, normalize)
            with st.grid(2, min_column_width=320):
                with st.container():
                    show_accuracy(examined, result)
                    keep_buttons(examined, fit, images, result)
                with st.container():
                    show_trials(result)
