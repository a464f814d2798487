"""A landscape as one HTML file that needs neither network nor server."""

from collections.abc import Sequence
from pathlib import Path

from samar.charts.html.render import charts, render
from samar.charts.landscape.figures import contour_figure, slices_figure, surface_figure
from samar.charts.landscape.scale import shared_scale
from samar.landscapes.result import Landscape


def standalone_html(named: Sequence[tuple[str, Landscape]], *, log: bool = True) -> str:
    """Surface, contour map and slices of one or two landscapes, with their manifests.

    Args:
        named: titles and landscapes; two share one range.
        log: logarithmic loss.
    """
    scale = shared_scale([landscape for _, landscape in named], "loss", log)
    figures = []
    for title, landscape in named:
        if landscape.is_plane:
            figures.append((surface_figure(landscape, scale, title), 560))
            figures.append((contour_figure(landscape, scale, title), 480))
    figures.append((slices_figure(named, scale), 340))
    return render(
        "landscape.html.j2",
        title=" and ".join(title for title, _ in named),
        charts=charts(figures),
        manifest=[landscape.manifest for _, landscape in named],
    )


def write(landscape: Landscape, title: str, path: Path) -> None:
    """Write a landscape in the format that the suffix names: .npz, .csv, .vtp or .html."""
    from samar.landscapes.export import to_csv, to_vtp

    if path.suffix == ".npz":
        landscape.save(path)
    elif path.suffix == ".csv":
        path.write_text(to_csv(landscape), encoding="utf-8")
    elif path.suffix == ".vtp":
        path.write_bytes(to_vtp(landscape))
    else:
        path.write_text(standalone_html([(title, landscape)]), encoding="utf-8")
