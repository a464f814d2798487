"""The playground's figures as one HTML file that plays without network or server."""

import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from samar.charts.html.render import render, script


def standalone_html(
    title: str, text: str, figures: Sequence[tuple[go.Figure, int]], manifest: dict[str, Any]
) -> str:
    """One page with figures that share a clock.

    Args:
        title: Heading.
        text: What happened, in words.
        figures: Each with its height in pixels.
        manifest: Everything that determines the figures.
    """
    drawn = []
    for figure, _ in figures:
        content = json.loads(str(figure.to_json()))
        content["layout"].pop("template", None)
        content["layout"]["font"] = {"family": "sans-serif", "color": "#1b2530"}
        drawn.append(content)
    return render(
        "playground.html.j2",
        title=title,
        text=text,
        figures=drawn,
        heights=[height for _, height in figures],
        manifest=manifest,
        plotly=Markup(get_plotlyjs()),
        css=script("plotly_chart.css"),
        clock=script("plotly_clock.js"),
    )
