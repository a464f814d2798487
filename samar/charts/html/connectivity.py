"""Paths between two networks as one HTML file that needs neither network nor server."""

from collections.abc import Mapping
from pathlib import Path

from samar.charts.connectivity import paths_figure, plane_figure, training_figure
from samar.charts.html.render import charts, render
from samar.charts.landscape.scale import shared_scale
from samar.connectivity.catalog import path_title
from samar.connectivity.result import Connection
from samar.landscapes.result import Landscape


def standalone_html(found: Connection, planes: Mapping[bool, Landscape], title: str) -> str:
    """Loss and accuracy along the paths, the planes with their curves, and the manifests."""
    figures = []
    for split in found.splits:
        figures += [(paths_figure(found, split, "loss"), 420)]
        figures += [(paths_figure(found, split, "accuracy"), 340)]
    for aligned, plane in planes.items():
        scale = shared_scale(list(planes.values()), "loss", True)
        name = path_title(plane.manifest["curve"], aligned)
        figures.append((plane_figure(plane, scale, name), 520))
    if any(len(path.training) for path in found.paths):
        figures.append((training_figure(found.paths), 320))
    return render(
        "landscape.html.j2",
        title=title,
        charts=charts(figures),
        manifest=[found.manifest | found.summary(), *(each.manifest for each in planes.values())],
    )


def write(found: Connection, planes: Mapping[bool, Landscape], title: str, path: Path) -> None:
    """Write paths in the format that the suffix names: .npz, .csv or .html."""
    if path.suffix == ".npz":
        found.save(path)
    elif path.suffix == ".csv":
        path.write_text(found.to_csv(), encoding="utf-8")
    else:
        path.write_text(standalone_html(found, planes, title), encoding="utf-8")
