"""HTML: every page and piece of it is a template in ``templates/``, and every value is escaped."""

import json
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    import plotly.graph_objects as go

COMPONENTS = Path(__file__).parents[1] / "components"
"""Scripts and styles of the browser's charts."""

CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["sendChartToCloud"],
}
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


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["pretty"] = partial(json.dumps, indent=2, ensure_ascii=False)
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def render(template: str, **values: Any) -> str:
    """Fill a template in; what is not :class:`markupsafe.Markup` is escaped."""
    return _environment().get_template(template).render(values)


def script(name: str) -> Markup:
    """A file of the browser's charts, to stand within a page."""
    return Markup((COMPONENTS / name).read_text(encoding="utf-8"))


def charts(figures: "Sequence[tuple[go.Figure, int]]") -> list[dict[str, str]]:
    """Figures for a page of their own, which stand at their last frame and may have a play button.

    Args:
        figures: each with its height in CSS pixels. They are left as they are.

    Returns:
        ``alt`` and ``html`` of each; the first brings plotly.js.
    """
    import plotly.graph_objects as go
    import plotly.io

    drawn = []
    for number, (figure, height) in enumerate(figures):
        copy = go.Figure(figure).update_layout(height=height)
        copy.update_xaxes(automargin=True).update_yaxes(automargin=True)
        copy.update_layout(title={"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 15}})
        if copy.frames:
            copy.update_layout(updatemenus=[PLAY])
        alt = str((copy.layout.meta or {}).get("alt", ""))
        copy.layout.meta = None
        html = plotly.io.to_html(
            copy,
            full_html=False,
            include_plotlyjs=number == 0,
            auto_play=False,
            config=CONFIG,
        )
        drawn.append({"alt": alt, "html": Markup(html)})
    return drawn
