"""What lies on a landscape: the network, the edge of its ρ-ball, and networks on or near the plane.

Each overlay is a plotly trace without ``type`` and ``z``, plus the ``value`` it is drawn at.
"""

from typing import Any

import numpy as np

from samar.charts.landscape.scale import Look, quantity_of
from samar.landscape.result import Ball, Landscape, Trail

COLORS = "Viridis"
MARK = "#D55E00"
PATH = {"color": "#FFFFFF", "width": 3}


def overlays(landscape: Landscape, look: Look) -> list[dict[str, Any]]:
    """Network, ρ-ball and path over a plane, with the value each is drawn at."""
    found: list[dict[str, Any]] = []
    ball, path = landscape.ball, landscape.trail
    if ball is not None and look.quantity == "loss":
        found.append(_ring(ball))
    if path is not None:
        found.append(_path(path, look))
    else:
        own = landscape.centre_loss if look.quantity == "loss" else np.nan
        dot: dict[str, Any] = {
            "mode": "markers",
            "marker": {"color": MARK, "size": 6, "symbol": "diamond"},
        }
        dot |= {"x": [0.0], "y": [0.0], "name": "the network", "value": np.array([own])}
        found.append(dot | {"hovertemplate": "the network<extra></extra>"})
    return found


def _ring(ball: Ball) -> dict[str, Any]:
    closed = np.concatenate([ball.coordinates, ball.coordinates[:1]])
    losses = np.concatenate([ball.loss, ball.loss[:1]])
    return {
        "x": float32(closed[:, 0]),
        "y": float32(closed[:, 1]),
        "value": losses,
        "mode": "lines",
        "line": {"color": MARK, "width": 3},
        "name": f"ρ = {ball.rho:g}",
        "text": [f"at the edge of ρ = {ball.rho:g}<br>loss {v:.4f}" for v in losses],
        "hovertemplate": "%{text}<extra></extra>",
    }


def _path(path: Trail, look: Look) -> dict[str, Any]:
    values = quantity_of(path, look.quantity)
    low, high = look.drawn_bounds
    color = {"color": float32(look.drawn(values)), "colorscale": COLORS, "cmin": low, "cmax": high}
    return {
        "x": float32(path.coordinates[:, 0]),
        "y": float32(path.coordinates[:, 1]),
        "value": values,
        "mode": "lines+markers",
        "line": PATH,
        "marker": color | {"size": 9, "line": {"color": PATH["color"], "width": 1.5}},
        "name": "networks",
        "text": [
            f"{name}<br>own loss {loss:.4f}, accuracy {accuracy:.1%}<br>{off:.3g} off the plane"
            for name, loss, accuracy, off in zip(
                path.names, path.loss, path.accuracy, path.off_plane, strict=True
            )
        ],
        "hovertemplate": "%{text}<extra></extra>",
    }


def film(overlay: dict[str, Any], trace: int) -> list[dict[str, Any]]:
    """Frames in which a path, trace number ``trace`` of its figure, grows network by network."""
    return [
        {
            "name": str(n),
            "data": [{"x": overlay["x"][:n], "y": overlay["y"][:n]}],
            "traces": [trace],
        }
        for n in range(1, len(overlay["x"]) + 1)
    ]


def float32(values: Any) -> Any:
    """As a screen needs it: half the bytes of float64."""
    return np.asarray(values, dtype=np.float32)
