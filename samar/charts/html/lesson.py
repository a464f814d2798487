"""The figures of a lesson as one HTML file that needs neither network nor server."""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import plotly.io

from samar.charts.html.landscape import PAGE

PLAY: dict[str, Any] = {
    "type": "buttons",
    "showactive": False,
    "x": 1,
    "y": 1.02,
    "xanchor": "right",
    "yanchor": "bottom",
    "buttons": [
        {
            "label": "▶ play",
            "method": "animate",
            "args": [None, {"frame": {"duration": 200, "redraw": True}, "fromcurrent": False}],
        }
    ],
}


@dataclass(frozen=True)
class Section:
    """What goes into the file; texts without markup.

    Attributes:
        figures: each with its height in CSS pixels.
        manifest: where the numbers come from.
    """

    title: str
    question: str
    finding: str
    look_for: Sequence[str]
    figures: Sequence[tuple[go.Figure, int]]
    manifest: dict[str, Any]


def lesson_html(section: Section) -> str:
    """The page; films stand at their last moment, and those made of pictures have a play button."""
    parts = [f"<p><b>{_text(section.question)}</b></p>", f"<p>{_text(section.finding)}</p>"]
    for number, (figure, height) in enumerate(section.figures):
        copy = go.Figure(figure).update_layout(height=height)
        copy.update_xaxes(automargin=True).update_yaxes(automargin=True)
        if copy.frames:
            copy.update_layout(updatemenus=[PLAY])
        alt = (copy.layout.meta or {}).get("alt", "")
        copy.layout.meta = None
        drawn = plotly.io.to_html(
            copy,
            full_html=False,
            include_plotlyjs=number == 0,
            auto_play=False,
            config={"displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]},
        )
        parts.append(f'<div role="img" aria-label="{html.escape(alt)}">{drawn}</div>')
    items = "".join(f"<li>{_text(sentence)}</li>" for sentence in section.look_for)
    parts.append(f"<h2>What to look for</h2><ul>{items}</ul>")
    return PAGE.format(
        title=html.escape(section.title),
        figures="\n".join(parts),
        manifest=html.escape(json.dumps(section.manifest, indent=2, ensure_ascii=False)),
    )


def _text(markdown: str) -> str:
    return html.escape(markdown.replace("**", "").replace("*", ""))
