"""Lesson 6: do not trust the plot."""

import numpy as np

from samar.charts.lessons import landscape_figure
from samar.recordings import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown

KINDS = {"raw": "raw directions", "filter": "filter-normalized directions"}


def _draw() -> Shown:
    shipped = recording("rescaling")
    tables = shipped.tables
    kind = segmented("Directions", "l6_kind", KINDS)
    before, after, axis = (tables[f"{kind}_{name}"] for name in ("before", "after", "axis"))
    top = float(f"{np.quantile(before, 0.9):.1g}")
    scale = float(tables["scale"])
    same = float(np.abs(tables["logits_after"] - tables["logits_before"]).max())
    equal = "the outputs are equal" if same == 0 else f"the outputs differ by at most {same:.1g}"
    apart = float(np.abs(after - before).max())
    differ = "are equal" if apart == 0 else f"differ by up to {apart:.2g} in the loss"
    largest = [float(tables[f"lam_max_{state}"]) for state in ("before", "after")]
    scaled = [float(tables[f"scaled_lam_max_{state}"]) for state in ("before", "after")]
    finding = (
        f"Both plots show the same function: {equal}. Along "
        f"{KINDS[kind]} the plots {differ}. The largest eigenvalue is {largest[0]:.3g} "
        f"before and {largest[1]:.3g} after; adjusted for scale it is {scaled[0]:.3g} and "
        f"{scaled[1]:.3g}."
    )
    axes = np.stack([axis, axis])
    charts = [
        Chart(
            f"plane_{state}",
            landscape_figure(axes, plane[None], title, top=top),
            380,
        )
        for state, plane, title in (
            ("before", before, "As trained"),
            ("after", after, f"First layer × {scale:g}, second ÷ {scale:g}"),
        )
    ]
    return Shown(charts, finding, shipped.facts())


LESSON = Lesson(
    "rescaling",
    badge="replay",
    draw=_draw,
    defaults={"l6_kind": "raw"},
)
