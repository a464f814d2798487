"""λ, the sharpness ratio and the loss of the playground's paths, in the picture's time."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.overlays import float32
from samar.charts.playground.plane import Film
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.playground.config import PlaygroundConfig
from samar.playground.descent import Path

FLOOR = 1e-4
"""Smaller losses are drawn here; a logarithmic axis has no end."""

ROWS = ((0.72, 1.0), (0.37, 0.64), (0.0, 0.29))
"""Domains of λ, ratio and loss, from the top."""


def panels(config: PlaygroundConfig, paths: Mapping[str, Path]) -> go.Figure:
    """Three panels over the step, with a line at the present one."""
    film = Film(paths)
    traces: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    samar = paths.get("samar")
    if samar is not None and samar.steps:
        steps = np.arange(samar.steps, dtype=np.float32)
        for number, values in ((1, samar.lam), (2, np.clip(samar.ratio, 1e-3, 1e3))):
            traces.append(_curve("samar", steps, values, number))
        shapes += [_level(config.lam_max, 1, "ceiling"), _level(1.0, 1, "as SAM")]
        if config.lam_min:
            shapes.append(_level(config.lam_min, 1))
        if "tau" in config.constants:
            shapes += [_level(1 + sign * config.constants["tau"], 2) for sign in (-1, 1)]
        else:
            shapes.append(_level(1.0, 2))
    floor = min((float(path.loss.min()) for path in paths.values()), default=0.0)
    for name, path in paths.items():
        steps = np.arange(len(path.loss), dtype=np.float32)
        traces.append(_curve(name, steps, np.maximum(path.loss - min(floor, 0.0), FLOOR), 3))
    for number in (1, 2, 3):
        axis = {"xaxis": f"x{number}", "yaxis": f"y{number + 3}"}
        traces.append(
            {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False}
            | {"line": {"color": NEUTRAL, "width": 1.5}}
            | axis
            | film.now(len(traces))
        )
    ended = f"λ ends at {samar.lam[-1]:.2f}." if samar is not None and samar.steps else ""
    alt = f"Strength λ, sharpness ratio and loss of each optimizer over the step. {ended}"
    layout: dict[str, Any] = {
        "template": "none",
        "meta": {"alt": alt, "film": film.meta},
        "shapes": shapes,
        "showlegend": False,
        "hovermode": "x",
        "margin": {"l": 52, "r": 8, "t": 26, "b": 36},
        "annotations": [
            _title("strength λ of SAMAR", 0),
            _title("sharpness ratio r of SAMAR", 1),
            _title("loss", 2),
        ],
    }
    spans = {
        number: _span([t["y"] for t in traces if t.get("yaxis") == f"y{number}"])
        for number in (2, 3)
    }
    for number, domain in enumerate(ROWS, 1):
        suffix = "" if number == 1 else str(number)
        layout[f"xaxis{suffix}"] = {
            "range": [0, film.last],
            "anchor": f"y{number}",
            "showticklabels": number == 3,
            "title": "step" if number == 3 else "",
            "matches": "x" if number > 1 else None,
            "zeroline": False,
        }
        ticks = _ticks(*spans[number]) if number > 1 else {}
        layout[f"yaxis{suffix}"] = {
            "domain": list(domain),
            "anchor": f"x{number}",
            "zeroline": False,
            "nticks": 5,
        } | ticks
        # The line at the present step spans its panel, whatever the panel's range.
        layout[f"yaxis{number + 3}"] = {
            "overlaying": f"y{number}",
            "range": [0, 1],
            "visible": False,
            "fixedrange": True,
            "tickmode": "auto",
        }
    if samar is not None and samar.steps:
        top = max(float(np.nanmax(samar.lam)), 1.0)
        layout["yaxis"]["range"] = [0, 1.12 * max(top, min(config.lam_max, 1.5 * top))]
    return go.Figure(data=traces, layout=layout)


def _curve(name: str, steps: Any, values: Any, number: int) -> dict[str, Any]:
    style = OPTIMIZER_STYLES[name]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": steps,
        "y": float32(values),
        "xaxis": f"x{number}",
        "yaxis": f"y{number}",
        "name": style.title,
        "line": {"color": style.color, "dash": style.dash, "width": 1.8},
        "hovertemplate": f"{style.title} %{{y:.3g}}<extra></extra>",
    }


def _span(columns: list[Any]) -> tuple[float, float]:
    values = np.concatenate([c[np.isfinite(c)] for c in columns]) if columns else np.ones(1)
    return float(values.min(initial=1.0)), float(values.max(initial=1.0))


def _ticks(low: float, high: float) -> dict[str, Any]:
    """A logarithmic axis with few labels, written as plain numbers."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    mantissas = (1,) if len(decades) > 3 else (1, 2, 5)
    stride = 1 if len(decades) < 6 else 2
    values = [m * 10.0**d for d in decades if d % stride == 0 for m in mantissas]
    return {
        "type": "log",
        "tickvals": values,
        "ticktext": [f"{'≤ ' * (v == FLOOR)}{v:g}" for v in values],
    }


def _level(value: float, number: int, text: str = "") -> dict[str, Any]:
    label = {"text": text, "textposition": "start", "yanchor": "top", "font": {"size": 11}}
    return {
        "type": "line",
        "xref": "x domain" if number == 1 else f"x{number} domain",
        "yref": f"y{number}",
        "x0": 0,
        "x1": 1,
        "y0": value,
        "y1": value,
        "line": {"color": NEUTRAL, "width": 1, "dash": "dot"},
    } | ({"label": label} if text else {})


def _title(text: str, row: int) -> dict[str, Any]:
    return {
        "text": f"<b>{text}</b>",
        "showarrow": False,
        "x": 0,
        "y": ROWS[row][1],
        "xref": "paper",
        "yref": "paper",
        "xanchor": "left",
        "yanchor": "bottom",
    }
