"""A live plotly chart: zoom, hidden traces and the 3-D camera outlive new data and reruns.

``st.plotly_chart`` puts a new node on the page whenever the data change, which forgets what the
reader did. This component calls ``Plotly.react`` on one lasting node (``plotly_chart.js`` in
``samar/charts/components``).
"""

import json
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.utils import PlotlyJSONEncoder

from samar.charts.training import X_TITLES, View
from samar.web.server import CHART_JS, PLOTLY_JS, component, static_url

_component = component(
    "samar_plotly_chart", html="chart.html.j2", css="plotly_chart.css", js=CHART_JS
)


def plotly_chart(
    figure: go.Figure | str,
    *,
    key: str,
    alt: str | None = None,
    flat: go.Figure | str | None = None,
    height: int | str = 320,
    ratio: float | None = None,
    link: str | None = None,
    uirevision: str | None = None,
    clock: str | None = None,
    play: str | None = None,
    buttons: bool = False,
    wheel: bool = True,
    on_pick: Callable[[float, float], None] | None = None,
) -> None:
    """Show a figure and keep what the reader did to it as its data change.

    Args:
        figure: A plotly figure, or its JSON (from :func:`figure_json`, which may be cached).
        key: Name of the chart on the page; also the file name of a saved image.
        alt: What the chart shows, in words, for readers who cannot see it; the figure's own
            ``layout.meta["alt"]`` if None.
        flat: Drawn instead where the browser has no WebGL, if the figure needs it.
        height: Height in CSS pixels at the usual type size of 16 pixels, which grows with the type;
            or any CSS length.
        ratio: Height over width of a plane whose axes have one scale: the chart is then as high
            as the plane and its legend need, and at most ``height``.
        link: Charts with the same ``link`` share their x range and show hover labels together.
        uirevision: Zoom, hidden traces and camera are kept while this stays the same; ``key`` if
            None. A revision that the figure's layout sets itself, also per axis, wins.
        clock: Gives a figure that moves buttons and keys (space, arrows, Home, End), in the
            browser and without a server; charts with the same ``clock`` share the time, and one
            of them bears the buttons. What moves is said by ``layout.meta["film"]`` (see
            ``plotly_clock.js``) or by the figure's ``frames``. At first it stands at its end.
        play: Whenever this changes, and at first unless None, it plays from its start; with
            ``"loop"`` again and again.
        buttons: Bears the clock's buttons, which stand under the page's first chart otherwise.
        wheel: Whether the mouse wheel over a 3-D figure zooms it; otherwise it scrolls the page.
        on_pick: Called, as a callback, with the coordinates of a click in the chart or of the
            place where the trace with ``meta="start"`` was dragged to. Set
            ``layout.dragmode=False`` along with it.
    """

    def picked() -> None:
        point = st.session_state[key].get("pick")
        if on_pick is not None and point is not None:
            on_pick(float(point[0]), float(point[1]))

    _component(
        key=key,
        data={
            "figure": _json(figure),
            "flat": None if flat is None else _json(flat),
            "library": static_url(PLOTLY_JS),
            "name": key,
            "alt": alt,
            "height": height,
            "ratio": ratio,
            "link": link,
            "uirevision": uirevision,
            "clock": clock,
            "play": play,
            "buttons": buttons,
            "wheel": wheel,
            "picks": on_pick is not None,
        },
        on_pick_change=picked,
    )


def _json(figure: go.Figure | str) -> str:
    return figure if isinstance(figure, str) else figure_json(figure)


def expect_charts() -> None:
    """Load the chart library before there is a chart, so that the first is drawn without a wait."""
    _component(key="charts_expected", data={"library": static_url(PLOTLY_JS), "height": 1})


def figure_json(figure: go.Figure) -> str:
    """The figure as JSON without plotly's template, each array sent once.

    Curves of one chart often share their x values. An array that occurred before travels as
    ``{"same": [trace, name]}``.
    """
    content = figure.to_dict()
    content["layout"].pop("template", None)
    first: dict[tuple[str, ...], list[Any]] = {}
    for number, trace in enumerate(content["data"]):
        for name, value in trace.items():
            if isinstance(value, dict) and "bdata" in value:
                array = (value["dtype"], value.get("shape", ""), value["bdata"])
                if array in first:
                    trace[name] = {"same": first[array]}
                else:
                    first[array] = [number, name]
    return json.dumps(content, cls=PlotlyJSONEncoder, separators=(",", ":"))


def choose_view() -> View:
    """Draw the choices of how curves are shown on the stage and on Compare."""
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
