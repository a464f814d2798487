"""The top of the Hessian's spectrum over a run, as its probe measured it between epochs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.theme import NEUTRAL
from samar.charts.training import Columns, View, curve, run_panel

EMPTY = "Waiting for the first look, after an epoch."
NAMES = ("largest", "second", "third")
STYLES = (("solid", "circle", 2.0), ("dash", "diamond-open", 1.2), ("dot", "x-thin-open", 1.2))


def trace_panel(
    steps: Columns, epochs: Columns, view: View, looks: Sequence[Mapping[str, Any]]
) -> go.Figure:
    """The Hessian's trace, estimated by Hutch++, with its standard error.

    Args:
        looks: in order of ``step``, each with ``step``, ``trace`` and ``trace_error``.
    """
    values = np.array([look["trace"] for look in looks])
    error = np.array([look["trace_error"] for look in looks], dtype=np.float32)
    line = {"color": view.style.color, "width": 2.0}
    bars: Any = {"error_y": {"type": "data", "array": error, "thickness": 1, "width": 2}}
    marker = {"symbol": "circle", "size": 7}
    curves = curve(_places(steps, view, looks), values, "trace", "%{y:.4~g}", line, marker, **bars)
    y_axis = {"title": "trace", "type": "log" if view.log else "linear"}
    return run_panel(steps, epochs, view, curves, "Hessian's trace", y_axis, empty=EMPTY)


def curvature_panel(
    steps: Columns, epochs: Columns, view: View, looks: Sequence[Mapping[str, Any]]
) -> go.Figure:
    """Top eigenvalues with their residuals, and 2/η, the bound of plain gradient descent.

    Args:
        looks: in order of ``step``, each with ``step``, ``values``, ``residuals`` (both descending
            with the eigenvalues) and ``lr``.
    """
    x = _places(steps, view, looks)
    curves: list[dict[str, Any]] = []
    for rank, (name, (dash, symbol, width)) in enumerate(zip(NAMES, STYLES, strict=True)):
        values = np.array([look["values"][rank] for look in looks])
        error = np.array([look["residuals"][rank] for look in looks], dtype=np.float32)
        line = {"color": view.style.color, "dash": dash, "width": width}
        bars: Any = {"error_y": {"type": "data", "array": error, "thickness": 1, "width": 2}}
        marker = {"symbol": symbol, "size": 7}
        curves += curve(x, values, name, "%{y:.4~g}", line, marker, **bars)
    bound = np.array([2 / look["lr"] if look["lr"] else np.nan for look in looks])
    dashed = {"color": NEUTRAL, "dash": "longdash", "width": 1.2}
    curves += curve(x, bound, "2/η", "2/η = %{y:.4~g}", dashed)
    y_axis: dict[str, Any] = {"title": "eigenvalue", "type": "log" if view.log else "linear"}
    if looks:
        # As η falls to 0 its limit leaves the picture, and should not drag the scale along.
        y_axis["autorangeoptions"] = {"clipmax": 2 * max(look["values"][0] for look in looks)}
    return run_panel(steps, epochs, view, curves, "Hessian's top eigenvalues", y_axis, empty=EMPTY)


def _places(steps: Columns, view: View, looks: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Where the looks lie on the chosen axis."""
    at = np.array([float(look["step"]) for look in looks])
    return np.interp(at, steps["step"], steps[view.x]) if at.size and steps["step"].size else at
