"""The figures of a lesson as one HTML file that needs neither network nor server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from samar.charts.html.render import charts, render


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
    """The page; what is animated stands at its last moment, with a play button if it has frames."""
    return render(
        "lesson.html.j2",
        title=section.title,
        question=_text(section.question),
        finding=_text(section.finding),
        look_for=[_text(sentence) for sentence in section.look_for],
        charts=charts(section.figures),
        manifest=section.manifest,
    )


def _text(markdown: str) -> str:
    return markdown.replace("*", "").replace("$", "")
