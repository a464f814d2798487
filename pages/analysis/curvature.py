"""Curvature: how curved the loss is at a network's weights, and in how many directions."""

import streamlit as st

from samar.web.curvature.choice import choose
from samar.web.curvature.results import provenance, show
from samar.web.curvature.work import compute, known

with st.sidebar:
    choice = choose()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    st.subheader("Curvature", anchor=False, width="content")
    pressed = st.button(
        "Compute",
        icon=":material/calculate:",
        type="primary",
        key="curvature_compute",
        disabled=choice is None,
        shortcut="Ctrl+Enter",
    )

if choice and pressed:
    compute(choice)
if st.session_state.get("curvature_cancel"):
    st.info("Cancelled; nothing was kept.", icon=":material/info:")
named = known(choice) if choice else None
if choice and named:
    show(named)
    provenance(named, choice)
elif choice:
    st.markdown(
        "The Hessian says how the loss bends around the weights. Its largest eigenvalues are the "
        "sharpest directions, its trace the sum over all. Choose what to measure and press "
        "**Compute**; every number comes with its error."
    )
else:
    st.info("Choose a run that has ended, an imported model or a weights file on the left.")
