"""A landscape as one HTML file that needs neither network nor server."""

import html
import json
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
import plotly.io

from samar.charts.landscape.scale import shared_look
from samar.charts.landscape.slices import slices_figure
from samar.charts.landscape.surface import contour_figure, surface_figure
from samar.landscape.result import Landscape

HEIGHTS = {"surface": 560, "contour": 480, "slices": 340}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 16px sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow: auto; background: #f2f5f8; padding: 1rem }}</style>
<h1>{title}</h1>
{figures}
<h2>Manifest</h2>
<pre>{manifest}</pre>
</html>
"""


def standalone_html(named: Sequence[tuple[str, Landscape]], *, log: bool = True) -> str:
    """Surface, contour map and slices of one or two landscapes, with their manifests.

    Args:
        named: titles and landscapes; two share one range.
        log: logarithmic loss.
    """
    look = shared_look([landscape for _, landscape in named], "loss", log)
    figures: list[tuple[str, go.Figure]] = []
    for title, landscape in named:
        if landscape.is_plane:
            figures.append(("surface", surface_figure(landscape, look, title)))
            figures.append(("contour", contour_figure(landscape, look, title)))
    figures.append(("slices", slices_figure(named, look)))
    parts = []
    for number, (kind, figure) in enumerate(figures):
        figure.update_layout(height=HEIGHTS[kind])
        parts.append(
            plotly.io.to_html(
                figure,
                full_html=False,
                include_plotlyjs=number == 0,
                auto_play=False,
                config={"displaylogo": False, "modeBarButtonsToRemove": ["sendChartToCloud"]},
            )
        )
    manifest = [landscape.manifest for _, landscape in named]
    return PAGE.format(
        title=html.escape(" and ".join(title for title, _ in named)),
        figures="\n".join(parts),
        manifest=html.escape(json.dumps(manifest, indent=2, ensure_ascii=False)),
    )


def write(landscape: Landscape, title: str, path: Path) -> None:
    """Write a landscape in the format that the suffix names: .npz, .csv, .vtp or .html."""
    from samar.landscape.export import to_csv, to_vtp

    if path.suffix == ".npz":
        landscape.save(path)
    elif path.suffix == ".csv":
        path.write_text(to_csv(landscape), encoding="utf-8")
    elif path.suffix == ".vtp":
        path.write_bytes(to_vtp(landscape))
    else:
        path.write_text(standalone_html([(title, landscape)]), encoding="utf-8")
