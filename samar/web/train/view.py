"""How curves are looked at, on the stage and on the Compare page; all of it is in the address."""

import streamlit as st

from samar.charts.training import X_TITLES, View


def choose_view() -> View:
    """Draw the choices."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="look"):
        x = st.segmented_control(
            "Horizontal axis",
            list(X_TITLES),
            default="step",
            required=True,
            format_func=lambda name: X_TITLES[name],
            key="x",
            bind="query-params",
            help="A step of SGD costs one gradient, of SAM and VaSSO two, of SAMAR one or two.",
        )
        smoothing = st.slider(
            "Smoothing (0 is off)",
            0.0,
            0.99,
            0.9,
            0.01,
            key="smooth",
            bind="query-params",
            width=220,
        )
        log = st.toggle("Log scale", key="log", bind="query-params")
    return View(x=x or "step", log=bool(log), smoothing=smoothing)
