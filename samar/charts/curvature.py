"""Curvature: eigenvalues while they converge, what a report holds, and both over a training run.

Every ``*_figure`` of reports takes (title, report) pairs, so that networks, or engines, can be
compared; every ``*_panel`` is one of a run's linked charts.
"""

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.theme import NEUTRAL, panel
from samar.curvature.catalog import HESSIAN, MATRICES

if TYPE_CHECKING:
    from samar.curvature.result import Report

Named = Sequence[tuple[str, "Report"]]

STYLES = (
    ("#0072B2", "solid", "circle"),
    ("#D55E00", "dash", "square"),
    ("#009E73", "dot", "diamond"),
    ("#CC79A7", "dashdot", "cross"),
)
"""Colour, dash and marker of the first, second, … network; a pair is told apart by each alone."""

LEGEND_LINE = 22
DECADES = 8
"""How far below its peak a density is drawn; what is lower is the tail of a Gaussian."""


def eigenvalue_figure(named: Named) -> go.Figure:
    """Largest eigenvalues as stems with their residuals as error bars; smallest as hollow marks."""
    traces: list[dict[str, Any]] = []
    alone = len(named) == 1
    offset = 0.12 * (np.arange(len(named)) - (len(named) - 1) / 2)
    for (title, report), (color, dash, symbol), shift in zip(named, STYLES, offset, strict=False):
        spectrum, title = report.spectrum, html.escape(title)
        rank = np.arange(1, len(spectrum.values) + 1) + shift
        stems = np.stack([rank, rank, np.full_like(rank, np.nan)], 1).ravel()
        tops = np.stack([np.zeros_like(rank), spectrum.values, np.full_like(rank, np.nan)], 1)
        traces.append(
            {
                "type": "scatter",
                "x": stems,
                "y": tops.ravel(),
                "mode": "lines",
                "line": {"color": color, "dash": dash, "width": 2},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": "largest" if alone else title,
            }
        )
        high, low = title, f"{title}, smallest"
        if alone:
            high, low = report.end(min(spectrum.values, default=0.0)), "smallest"
        ends = [(high, spectrum.values, spectrum.residuals, symbol)]
        if spectrum.lowest:
            ends.append((low, spectrum.lowest, spectrum.lowest_residuals, f"{symbol}-open"))
        for name, values, residuals, mark in ends:
            traces.append(
                {
                    "type": "scatter",
                    "x": rank[: len(values)],
                    "y": values,
                    "error_y": {"array": residuals, "color": color, "thickness": 1.5, "width": 5},
                    "customdata": residuals,
                    "mode": "markers",
                    "marker": {"color": color, "symbol": mark, "size": 9},
                    "name": name,
                    "legendgroup": name if alone else title,  # a group stands in one column
                    "showlegend": alone or name == title,
                    "hovertemplate": "%{y:.7g} ± %{customdata:.1e}",
                }
            )
        if report.gauss_newton is not None:
            name = "Gauss–Newton part" if alone else f"{title}, Gauss–Newton part"
            traces.append(
                {
                    "type": "scatter",
                    "x": rank,
                    "y": report.gauss_newton,
                    "mode": "markers",
                    "marker": {"color": color, "symbol": "line-ew-open", "size": 16},
                    "name": name,
                    "legendgroup": name,
                    "hovertemplate": "%{y:.7g}",
                }
            )
    most = max(len(report.spectrum.values) for _, report in named)
    info = MATRICES[named[0][1].matrix]
    hessian = info is MATRICES[HESSIAN]
    title = "Eigenvalues" if hessian else f"Eigenvalues · {info.title}"
    of = "Hessian " if hessian else f"{info.title} "
    words = ", ".join(f"{title} {report.spectrum.values[0]:.4g}" for title, report in named)
    figure = panel(
        traces,
        [],
        title=f"{title} · {html.escape(named[0][0])}" if alone else title,
        alt=f"Largest and smallest {of}eigenvalues; the largest: {words}.",
        x_axis={
            "title": "rank from either end",
            "tickmode": "linear" if most <= 20 else "auto",
            "dtick": 1,
            "unifiedhovertitle": {"text": "rank %{x:.0f}"},
        },
        y_axis={"title": "eigenvalue", "rangemode": "tozero"},
        empty="",
    )
    return _with_room(figure, named)


def density_figure(named: Named) -> go.Figure:
    """Spectral densities on a logarithmic axis; eigenvalues that stand out are marked below."""
    traces: list[dict[str, Any]] = []
    shown = [(t, r.density, style) for (t, r), style in zip(named, STYLES, strict=False)]
    drawn = [(title, density, style) for title, density, style in shown if density is not None]
    peak = max((density.density.max() for _, density, _ in drawn), default=1.0)
    floor = peak / 10**DECADES
    for title, density, (color, dash, symbol) in drawn:
        traces.append(
            {
                "type": "scatter",
                "x": density.grid.astype(np.float32),
                "y": np.where(density.density > floor, density.density, np.nan),
                "mode": "lines",
                "line": {"color": color, "dash": dash, "width": 1.5},
                "name": f"{html.escape(title)}, {len(density.outliers)} outliers",
                "legendgroup": title,
                "hovertemplate": "%{y:.2e}",
            }
        )
        traces.append(
            {
                "type": "scatter",
                "x": density.outliers,
                "y": np.full(len(density.outliers), 2 * floor),
                "mode": "markers",
                "marker": {"color": color, "symbol": f"{symbol}-open", "size": 8},
                "name": html.escape(title),
                "legendgroup": title,
                "showlegend": False,
                "hovertemplate": "outlier %{x:.5g}",
            }
        )
    counts = ", ".join(f"{title} {len(density.outliers)}" for title, density, _ in drawn)
    figure = panel(
        traces,
        [],
        title="Spectral density",
        alt=f"Density of all eigenvalues, logarithmic. Outliers: {counts}.",
        x_axis={"title": "eigenvalue", "unifiedhovertitle": {"text": "eigenvalue %{x:.4~g}"}},
        y_axis={"title": "density", "type": "log", "exponentformat": "power", "nticks": 6},
        empty="",
    )
    return _with_room(figure, named)


def layers_figure(named: Named, quantity: str) -> go.Figure:
    """One bar per layer, the first layer at the top.

    Args:
        named: reports; those without layers are left out.
        quantity: ``eigenvalue`` or ``trace``, with residual or standard error as error bar.
    """
    error = {"eigenvalue": "residual", "trace": "trace_error"}[quantity]
    traces: list[dict[str, Any]] = []
    for (title, report), (color, _, _) in zip(named, STYLES, strict=False):
        layers = report.layers or ()
        errors = [getattr(layer, error) for layer in layers]
        traces += [
            {
                "type": "bar",
                "orientation": "h",
                "y": [layer.name for layer in layers],
                "x": [getattr(layer, quantity) for layer in layers],
                "error_x": {"array": errors, "color": NEUTRAL, "thickness": 1.5, "width": 4},
                "customdata": errors,
                "marker": {"color": color},
                "name": html.escape(title),
                "hovertemplate": "%{x:.4g} ± %{customdata:.1e}",
            }
        ] * bool(layers)
    title = {"eigenvalue": "Largest eigenvalue by layer", "trace": "Trace by layer"}[quantity]
    figure = panel(
        traces,
        [],
        title=title,
        alt=f"{title}.",
        x_axis={"title": "of the layer's block"},
        y_axis={"title": "", "autorange": "reversed", "automargin": True, "type": "category"},
        empty="",
    )
    figure.update_layout(hovermode="y unified", barmode="group")
    return _with_room(figure, named)


def _with_room(figure: go.Figure, named: Named) -> go.Figure:
    """Names of runs are long: in a narrow chart each takes a line of the legend for itself."""
    return figure.update_layout(margin_t=52 + LEGEND_LINE * (len(named) - 1))


def convergence_figure(
    estimates: Sequence[Mapping[str, Any]], images: int | None = None
) -> go.Figure:
    """Estimates of the largest eigenvalues after each matrix-vector product, on their way.

    Args:
        estimates: each with ``product``, ``values`` (descending) and their ``residuals``.
        images: on which they are taken.
    """
    traces: list[dict[str, Any]] = []
    of = f" · {images:,} images" if images else ""
    newest = estimates[-1]["values"] if estimates else []
    for rank, value in enumerate(newest):
        own = [each for each in estimates if len(each["values"]) > rank]
        traces.append(
            {
                "type": "scatter",
                "x": [each["product"] for each in own],
                "y": [each["values"][rank] for each in own],
                "customdata": [each["residuals"][rank] for each in own],
                "error_y": {
                    "array": [each["residuals"][rank] for each in own],
                    "thickness": 1,
                    "width": 2,
                },
                "mode": "lines+markers",
                "line": {"width": 2},
                "marker": {"size": 5},
                "name": f"{eigenvalue_name(rank + 1)} {value:.4g}",
                "hovertemplate": "%{y:.5g} ± %{customdata:.1e}",
            }
        )
    y_axis: dict[str, Any] = {"title": "eigenvalue", "rangemode": "tozero"}
    if estimates:  # not those of the first residuals, which are as large as the values
        every = [value for each in estimates for value in each["values"]]
        low, high = min(0.0, *every), max(0.0, *every)
        y_axis["range"] = [
            low - 0.05 * (high - low) * (low < 0),
            high + 0.15 * (high - low) + 1e-12,
        ]
    figure = panel(
        traces,
        [],
        title=f"Estimates after each product{of}",
        alt="Estimates of the largest eigenvalues while they converge.",
        x_axis={
            "title": "matrix-vector products",
            "tickformat": "d",
            "rangemode": "tozero",
            "unifiedhovertitle": {"text": "after %{x} products"},
        },
        y_axis=y_axis,
        empty="The first estimate comes after one product.",
    )
    # In a narrow chart the legend takes a line for every three curves.
    return figure.update_layout(margin_t=52 + LEGEND_LINE * max(0, (len(newest) - 1) // 3))


def eigenvalue_name(rank: int) -> str:
    """h₁ for the largest, h₂ for the next."""
    return "h" + str(rank).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
