"""The playground's figures as one HTML file that plays without network or server."""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Literal

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from samar.charts.html.render import render, script


def standalone_html(
    title: str,
    text: str,
    figures: Sequence[tuple[go.Figure, int]],
    manifest: dict[str, Any],
    *,
    play: Literal["", "once", "loop"] = "",
) -> str:
    """One page with figures that share a clock.

    Args:
        title: Heading.
        text: What happened, in words.
        figures: Each with its height in pixels.
        manifest: Everything that determines the figures.
        play: Whether it plays by itself, once or again and again; else it stands at its end.
    """
    drawn = []
    for figure, _ in figures:
        content = json.loads(str(figure.to_json()))
        content["layout"].pop("template", None)
        content["layout"]["font"] = {"family": "sans-serif", "color": "#1b2530"}
        drawn.append(content)
    page_script = b64encode(script("plotly_page.js").encode())
    return render(
        "playground.html.j2",
        title=title,
        text=text,
        figures=drawn,
        heights=[height for _, height in figures],
        manifest=manifest,
        play=play,
        plotly=Markup(get_plotlyjs()),
        css=script("plotly_chart.css"),
        clock=script("plotly_clock.js"),
        page_script=f"data:text/javascript;base64,{page_script.decode()}",
    )
