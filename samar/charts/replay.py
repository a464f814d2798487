"""The start page's replay: the loss around two recorded networks while they learn, λ and ratio.

All figures share one clock, whose steps are those of training. λ, ratio and shares are shown as
they were recorded; between two measurements of a landscape it is interpolated, and the page says
so.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from samar.charts.landscape.scale import COLORS, float32
from samar.charts.lessons import line
from samar.charts.smoothing import Floats
from samar.charts.theme import NEUTRAL, OPTIMIZER_STYLES
from samar.charts.training import View
from samar.optim.catalog import dead_band_of
from samar.recordings import RecordedRun

STRIDE, EVERY = 3, 6
"""Steps of training for which everything stands still, and a landscape: a machine without a
graphics card draws about ten frames a second."""

POINTS = slice(4, 13)
"""Of the measured 17 × 17 values those in the middle are drawn: half the distance, 9 × 9."""

TOP = 8.0
"""Losses above are drawn as this."""

CAMERA = {"eye": {"x": 0.88, "y": -1.12, "z": 1.3}, "center": {"x": 0, "y": 0, "z": -0.14}}
LIFT = 0.5
"""How far the network's point stands above its loss, lest the surface hide half of it."""

LABEL = {"showarrow": False, "xref": "paper", "yref": "paper", "x": 0, "xanchor": "left"}
ROWS = ((0.58, 0.93), (0.0, 0.35))
"""Domains of λ and ratio, from the top."""


def replay_figures(samar: RecordedRun, sgd: RecordedRun) -> dict[str, go.Figure]:
    """Both landscapes, and λ with the ratio of the first run."""
    runs = {"SGD": sgd, "SAMAR": samar}
    surfaces = {run.config["optimizer"]: _surface(run, title) for title, run in runs.items()}
    return {**surfaces, "strength": _strength(samar)}


def flat_figures(samar: RecordedRun, sgd: RecordedRun) -> dict[str, go.Figure]:
    """Instead of the landscapes, for browsers without WebGL: cuts through them."""
    return {"sgd": _cuts(sgd, "SGD"), "samar": _cuts(samar, "SAMAR")}


def memorized(run: RecordedRun) -> float:
    """The share of wrong labels that the network gave back at the end, in percent."""
    return 100 * float(run.epochs["memorized"][-1])


def measured_every(run: RecordedRun) -> int:
    """Epochs between two measurements of the landscape."""
    assert run.film is not None
    return round(float(run.film.steps[1]) * len(run.epochs["step"]) / float(run.film.steps[-1]))


def view_of(config: Mapping[str, Any], **options: Any) -> View:
    """How a recorded run of SAMAR is drawn: with λ's bounds and its rule's dead band, if any."""
    return View(
        optimizer="samar",
        bounds=(config["lam_min"], config["lam_max"]),
        dead_band=dead_band_of(config["rule"], config["tau"]),
        **options,
    )


def _planes(run: RecordedRun) -> tuple[Floats, Floats]:
    """Coordinates (n,) and the loss (m, n, n) at every moment of the film, interpolated."""
    assert run.film is not None
    film = run.film
    moments = np.arange(0, int(film.steps[-1]) + 1, EVERY)
    after = np.clip(np.searchsorted(film.steps, moments, side="right"), 1, len(film.steps) - 1)
    start, end = film.steps[after - 1], film.steps[after]
    share = ((moments - start) / (end - start))[:, None, None]
    loss = film.loss[:, POINTS, POINTS]
    return film.axes[0][POINTS], (1 - share) * loss[after - 1] + share * loss[after]


def _film(run: RecordedRun, rows: Mapping[str, Any]) -> dict[str, Any]:
    """What moves in a landscape; below its title stands what the network has memorized by then."""
    assert run.film is not None
    last = int(run.film.steps[-1]) // EVERY
    known = np.searchsorted(run.epochs["step"], EVERY * np.arange(last + 1), side="right") - 1
    shares = 100 * run.epochs["memorized"][np.maximum(known, 0)]
    told = [f"wrong labels memorized: {share:.0f} %" for share in shares]
    return {"last": last, "every": EVERY, "label": "step", "rows": rows, "subtitles": told}


def _layout(run: RecordedRun, title: str, film: dict[str, Any]) -> dict[str, Any]:
    assert run.film is not None
    middle = run.film.loss[:, 8, 8]
    alt = (
        f"The loss around {title}'s weights while it learns: at the centre {middle[0]:.2f} at "
        f"first, {middle[-1]:.2f} at last; at half the distance drawn up to "
        f"{run.film.loss[-1, POINTS, POINTS].max():.1f}. At the end it has memorized "
        f"{memorized(run):.0f} % of the wrong labels."
    )
    color = OPTIMIZER_STYLES[run.config["optimizer"]].color
    return {
        "template": "none",
        "meta": {"alt": alt, "film": film},
        "title": {"text": title, "font": {"color": color, "weight": 700}}
        | {"y": 1, "yanchor": "top", "pad": {"t": 4}}
        | {"subtitle": {"text": film["subtitles"][-1]}},
        "showlegend": False,
    }


def _surface(run: RecordedRun, title: str) -> go.Figure:
    axis, planes = _planes(run)
    middle = len(axis) // 2
    cut, here = float32(np.minimum(planes, TOP)), float32(planes[:, middle, middle] + LIFT)
    film = _film(run, {"0": {"z": cut.ravel()}, "1": {"z": here}})
    color = OPTIMIZER_STYLES[run.config["optimizer"]].color
    x, y = np.meshgrid(float32(axis), float32(axis))
    ground = {
        "type": "mesh3d",
        "x": x.ravel(),
        "y": y.ravel(),
        "z": cut[-1].ravel(),
        "intensity": cut[-1].ravel(),
        **_triangles(len(axis)),
        "colorscale": COLORS,
        "cmin": 0,
        "cmax": TOP,
        "showscale": False,
        "hoverinfo": "skip",
        "lighting": {"ambient": 0.75, "diffuse": 0.5, "specular": 0.05, "roughness": 0.9},
    }
    network = {
        "type": "scatter3d",
        "mode": "markers",
        "x": [0],
        "y": [0],
        "z": here[-1:],
        "hoverinfo": "skip",
        "marker": {"size": 6, "color": color, "line": {"color": "#ffffff", "width": 1.5}},
    }
    bare = {"showticklabels": False, "title": "", "showspikes": False, "nticks": 5}
    layout = _layout(run, title, film) | {
        "scene": {
            "xaxis": bare,
            "yaxis": bare,
            "zaxis": bare | {"range": [0, 1.02 * TOP]},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.72},
            "camera": CAMERA,
        },
        "margin": {"l": 0, "r": 0, "t": 48, "b": 0},
    }
    return go.Figure(data=[ground, network], layout=layout)


def _triangles(n: int) -> dict[str, Any]:
    """Corners of two triangles for every square of an n × n grid.

    plotly redraws its ``surface`` in fifty times the time of such a mesh.
    """
    corner = np.arange(n * n, dtype=np.int16).reshape(n, n)
    here, right, up, both = corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]
    corners = {"i": (here, both), "j": (right, up), "k": (up, right)}
    return {name: np.concatenate([c.ravel() for c in pair]) for name, pair in corners.items()}


def _cuts(run: RecordedRun, title: str) -> go.Figure:
    axis, planes = _planes(run)
    middle = len(axis) // 2
    across, along = planes[:, middle, :], planes[:, :, middle]
    where = np.broadcast_to(axis, across.shape)
    rows = {
        str(n): {"x": float32(where).ravel(), "y": float32(values).ravel()}
        for n, values in enumerate((across, along))
    }
    traces = [
        line(axis, across[-1], "along direction 1", run.config["optimizer"]),
        line(axis, along[-1], "along direction 2"),
    ]
    layout = _layout(run, title, _film(run, rows)) | {
        "xaxis": {"title": "distance", "zeroline": False},
        "yaxis": {"title": "loss", "range": [0, TOP], "zeroline": False},
        "margin": {"l": 44, "r": 8, "t": 60, "b": 40},
    }
    layout["title"]["xref"] = "container"
    return go.Figure(data=traces, layout=layout)


def _strength(run: RecordedRun) -> go.Figure:
    """λ and ratio above each other, each with a point at its end."""
    color = OPTIMIZER_STYLES["samar"].color
    steps, lam, ratio = (run.steps[name][::STRIDE] for name in ("step", "lam", "ratio"))
    figure = go.Figure(
        [
            line(steps, values, name, "samar", xaxis=f"x{n}", yaxis=f"y{n}", hoverinfo="skip")
            for n, (name, values) in enumerate((("λ", lam), ("ratio", ratio)), 1)
        ]
    )
    film: dict[str, Any] = {
        "last": len(steps) - 1,
        "every": STRIDE,
        "label": "step",
        "grow": [0, 1],
        "follow": {},
    }
    for n, values in enumerate((lam, ratio), 1):
        film["follow"][str(n + 1)] = {"line": n - 1, "x": [0], "y": [0]}
        figure.add_scatter(
            x=[steps[-1]], y=[values[-1]], xaxis=f"x{n}", yaxis=f"y{n}",
            mode="markers", marker={"size": 10, "color": color}, hoverinfo="skip",
        )  # fmt: skip
    titles = ("<b>Strength λ</b>: 1 is SAM, 0 is SGD", "<b>Sharpness ratio</b>: above 1, λ rises")
    top = 1.1 * float(lam.max())
    away = 1.1 * float(np.nanmax(np.abs(ratio - 1)))
    levels = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1}
    levels["line"] = {"color": NEUTRAL, "width": 1, "dash": "dot"}
    figure.update_layout(
        template="none",
        title=None,
        showlegend=False,
        meta={"alt": _told(run), "film": film},
        margin={"l": 40, "r": 12, "t": 4, "b": 40},
        shapes=[levels | {"yref": "y1"}, levels | {"yref": "y2"}],
        annotations=[
            {"text": text, "y": end + 0.02, "yanchor": "bottom", **LABEL}
            for text, (_, end) in zip(titles, ROWS, strict=True)
        ],
    )
    reaches = ([0, top], [1 - away, 1 + away])
    for n, (domain, reach) in enumerate(zip(ROWS, reaches, strict=True)):
        figure.layout[f"xaxis{n + 1}"] = {
            "range": [0, 1.02 * float(steps[-1])],
            "anchor": f"y{n + 1}",
            "zeroline": False,
            "showticklabels": n == 1,
            "title": "step" if n else "",
        }
        figure.layout[f"yaxis{n + 1}"] = {
            "range": reach,
            "domain": domain,
            "anchor": f"x{n + 1}",
            "zeroline": False,
            "nticks": 4,
        }
    return figure


def _told(run: RecordedRun) -> str:
    lam = run.steps["lam"]
    return (
        f"SAMAR's λ over the steps: it starts at {lam[0]:.2g}, lies between {lam.min():.2g} and "
        f"{lam.max():.2g}, and ends at {lam[-1]:.2g}; and the sharpness ratio, which moves about 1."
    )
