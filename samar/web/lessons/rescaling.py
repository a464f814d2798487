"""Lesson 6: do not trust the plot."""

import numpy as np

from samar.charts.lessons import landscape_figure
from samar.recordings.catalog import recording
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
    title="Do not trust the plot",
    question="One function, two sets of weights: which landscape is the flat one?",
    badge="replay",
    draw=_draw,
    defaults={"l6_kind": "raw"},
    look_for=(
        "Left and right compute the same function for every image. Only the weights were "
        "[[rescaling|rescaled]].",
        "Along *raw* random directions the two [[landscape|landscapes]] look different: one could "
        "be called sharper.",
        "Switch to *filter-normalized*: the two plots become equal.",
        "[[lam_max]] changes with the rescaling too. The scale-adjusted one does not.",
    ),
    why="A push of fixed length is large for a layer with small weights and small for one with "
    "large weights. [[filter_normalization]] makes the push proportional to the weights, so that "
    "the factor cancels.\n\n"
    "The [[sharpness]] that SAM penalizes uses a push of fixed length in all weights together. It "
    "is not invariant either. ASAM, a switch on the *Train* page, is.\n\n"
    "And even a normalized plot is a cut through 40,000 dimensions along two random ones. It "
    "hardly ever holds the directions of strongest curvature. Read it beside the "
    "[[eigenvalue|eigenvalues]].",
    notes="Let the class vote on which of the two raw landscapes belongs to the better network "
    "before you reveal that they are the same. Then ask what a figure in a paper should state: "
    "directions, normalization, seed, number of images, BatchNorm mode.\n\n"
    "Dinh et al. use this rescaling to make any minimum as sharp as they like.",
    sources=("landscape", "dinh", "asam"),
)
