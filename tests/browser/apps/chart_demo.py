"""Charts with made-up data, moving unless ``?every=0``; with ``&surface=1`` in three dimensions.

With ``&clock=1`` two films share a clock.
"""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from samar.web.plotly_chart import plotly_chart


def lines(tick: int, title: str) -> go.Figure:
    x = np.arange(50 + tick, dtype=np.float32)
    axis = {"title": "step", "uirevision": "step"}
    layout = {"title": title, "xaxis": axis, "hovermode": "x", "meta": {"alt": f"{title} rises."}}
    figure = go.Figure(layout=layout)
    figure.add_scatter(x=x, y=np.sqrt(x), name="root")
    figure.add_scatter(x=x, y=x / 10, name="line")
    return figure


def surface(tick: int) -> go.Figure:
    x = np.linspace(-1, 1, 9, dtype=np.float32)
    z = x**2 + 2 * x[:, None] ** 2 + np.float32(0.1 * np.sin(tick))
    return go.Figure(go.Surface(x=x, y=x, z=z), layout={"title": "surface"})


def film() -> go.Figure:
    frames = [go.Frame(name=str(n), data=[go.Scatter(y=[n, 2 * n])]) for n in range(3)]
    return go.Figure(go.Scatter(y=[0, 0]), layout={"title": "film"}, frames=frames)


def charts() -> None:
    st.session_state.tick = tick = st.session_state.get("tick", 0) + 1
    if "clock" in st.query_params:
        plotly_chart(film(), key="one", height=160, clock="demo")
        plotly_chart(film(), key="two", height=160, clock="demo", play="once")
    elif "surface" in st.query_params:
        plotly_chart(surface(tick), key="surface", height=240)
        plotly_chart(film(), key="film", height=160)
    else:
        with st.grid(2, min_column_width=320):
            plotly_chart(lines(tick, "first"), key="first", link="pair", height=240)
            plotly_chart(lines(tick, "second"), key="second", link="pair", height=240)
    st.text(f"tick {tick}")


st.button("Rerun")
if st.toggle("Show", value=True):
    st.fragment(charts, run_every=float(st.query_params.get("every", "0.3")) or None)()
