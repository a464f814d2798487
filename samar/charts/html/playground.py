"""The playground's figures as one HTML file that plays without network or server."""

import html
import json
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from samar.home import ASSETS

COLORS = {
    "text-color": "#1b2530",
    "background-color": "#ffffff",
    "border-color": "#d3dae1",
    "gray-text-color": "#56616d",
    "primary-color": "#0072B2",
    "base-radius": "0.5rem",
    "font": "sans-serif",
}
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>:root {{ {colors} }}
body {{ font: 16px sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ overflow: auto; background: #f2f5f8; padding: 1rem }}
{css}</style>
<h1>{title}</h1>
<p>{text}</p>
<div id="figures"></div>
<h2>Settings</h2>
<pre>{manifest}</pre>
<script>{plotly}</script>
<script type="module">
{clock}
{start}
</script>
</html>
"""
START = """
const clock = Clock.named("film");
for (const [number, figure] of FIGURES.entries()) {
  const parent = document.createElement("div");
  const plot = document.createElement("div");
  plot.style.height = `${HEIGHTS[number]}px`;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", figure.layout.meta?.alt ?? "");
  parent.append(plot);
  document.getElementById("figures").append(parent);
  const film = Film.of(figure);
  const config = { displaylogo: false, responsive: true };
  await Plotly.newPlot(plot, figure.data, figure.layout, config);
  if (!film) continue;
  const chart = {
    parent,
    async flush() {
      if (this.busy || this.step === clock.step) return;
      this.busy = true;
      while (this.step !== clock.step) await film.show(Plotly, plot, (this.step = clock.step));
      this.busy = false;
    },
  };
  const again = () => !chart.busy && film.show(Plotly, plot, clock.step);
  plot.on("plotly_afterplot", again);
  clock.admit(chart, film);
}
"""


def standalone_html(
    title: str, text: str, figures: Sequence[tuple[go.Figure, int]], manifest: dict[str, Any]
) -> str:
    """One page with figures that share a clock.

    Args:
        title: Heading.
        text: What happened, in words.
        figures: Each with its height in pixels.
        manifest: Everything that determines the figures.
    """
    drawn = []
    for figure, _ in figures:
        content = json.loads(str(figure.to_json()))
        content["layout"].pop("template", None)
        content["layout"]["font"] = {"family": "sans-serif", "color": COLORS["text-color"]}
        drawn.append(content)
    data = json.dumps(drawn, separators=(",", ":")).replace("</", "<\\/")
    heights = json.dumps([height for _, height in figures])
    return PAGE.format(
        title=html.escape(title),
        text=html.escape(text),
        colors=" ".join(f"--st-{name}: {value};" for name, value in COLORS.items()),
        css=(ASSETS / "plotly_chart.css").read_text(encoding="utf-8"),
        manifest=html.escape(json.dumps(manifest, indent=2, ensure_ascii=False)),
        plotly=get_plotlyjs(),
        clock=(ASSETS / "plotly_clock.js").read_text(encoding="utf-8"),
        start=f"const FIGURES = {data};\nconst HEIGHTS = {heights};{START}",
    )
