"""A landscape as one HTML file that needs neither network nor server."""

from pathlib import Path
from typing import TypeAlias

import plotly.graph_objects as go

from samar.charts.html.render import charts, render
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.charts.landscape.topology import bounds_of, merge_tree_figure, persistence_figure
from samar.landscapes.result import Landscape
from samar.landscapes.topology.merge_tree import MergeTree
from samar.landscapes.topology.report import CAVEAT

Told: TypeAlias = tuple[MergeTree, list[str]]
"""A merge tree and what it says, as :func:`samar.landscapes.topology.report.told` gives them."""


def standalone_html(
    title: str,
    landscape: Landscape,
    topology: Told | None = None,
    *,
    quantity: str = "loss",
    log: bool = True,
) -> str:
    """Surface, contour map and slices of a plane, or a line, with their manifest.

    Args:
        topology: the merge tree whose minima and saddles are marked and shown, and its reading.
        quantity: ``loss`` or ``accuracy``.
        log: logarithmic loss, where all of it is above zero.
    """
    scale = shared_scale([landscape], quantity, log and landscape.lowest > 0)
    tree, words = topology or (None, [])
    figures: list[tuple[go.Figure, int]] = []
    if landscape.is_plane:
        figures.append((surface_figure(landscape, scale, title, tree), 560))
        figures.append((contour_figure(landscape, scale, title, tree), 480))
    figures.append((slices_figure([(title, landscape)], scale, trees=[tree]), 340))
    if tree is not None:
        bounds = bounds_of([tree], log=scale.logarithmic)
        figures += [
            (draw(tree, scale, "", bounds), 380) for draw in (merge_tree_figure, persistence_figure)
        ]
    return render(
        "landscape.html.j2",
        title=title,
        charts=charts(figures),
        reading=" ".join(words),
        caveat=CAVEAT,
        manifest=[landscape.manifest],
    )


def write(landscape: Landscape, title: str, path: Path, topology: Told | None = None) -> None:
    """Write a landscape in the format that the suffix names: .npz, .csv, .vtp or .html.

    Args:
        topology: marked in .html.
    """
    from samar.landscapes.export import to_csv, to_vtp

    if path.suffix == ".npz":
        landscape.save(path)
    elif path.suffix == ".csv":
        path.write_text(to_csv(landscape), encoding="utf-8")
    elif path.suffix == ".vtp":
        path.write_bytes(to_vtp(landscape))
    else:
        path.write_text(standalone_html(title, landscape, topology), encoding="utf-8")
