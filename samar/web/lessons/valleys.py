"""Lesson 1: sharp versus flat, from the same start."""

from typing import Any

import numpy as np
import streamlit as st

from samar.charts.lessons import landscape_figure, valley_line_figure
from samar.charts.playground import plane
from samar.playground.paths import Outcome, Path, outcome
from samar.playground.presets import PRESETS
from samar.playground.process import descend
from samar.playground.settings import PlaygroundSettings
from samar.recordings.catalog import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown
from samar.web.text import optimizer_titles

SHOWN = {"two": "two weights (live)", "network": "the real network (replay)"}

NETWORK = (
    "Press play. Each frame is a cut through the [[landscape]] around the network, one every "
    "third [[epoch]], along the same two random directions, [[filter_normalization|filter by "
    "filter]].",
    "SGD's valley narrows while it [[memorize|memorizes]] wrong labels; SAMAR's stays wide.",
    "The colours show the [[loss]] on the images trained on. SGD's bottom is deeper: it is better "
    "there, and worse on test images.",
    "Below, walk straight from one end to the other: the valley of training and the valley of "
    "testing are not in the same place.",
)


@st.cache_resource(max_entries=32, show_spinner=False)
def descents(
    preset: str, seed: int
) -> tuple[PlaygroundSettings, dict[str, Path], dict[str, Outcome]]:
    """A preset of the playground: its settings, the paths, and where each ended."""
    settings = PRESETS[preset].config(seed=seed)
    paths = descend(settings)
    return settings, paths, {name: outcome(settings, path) for name, path in paths.items()}


def _draw() -> Shown:
    if segmented("Show", "l1_show", SHOWN) == "two":
        seed = st.slider(
            "Seed of the noise", 0, 9, 0, key="l1_seed", bind="query-params", width=240,
            help="Every step tilts the loss at random, as a mini-batch does.",
        )  # fmt: skip
        return _two_weights(int(seed))
    return _network()


def _two_weights(seed: int) -> Shown:
    settings, paths, outcomes = descents("two_valleys", seed)
    figure = plane(settings, paths, "samar")
    sharp = [n for n, o in outcomes.items() if o.valley == "sharp"]
    flat = [n for n, o in outcomes.items() if o.valley == "flat"]
    finding = (
        f"From one start, with one noise: {optimizer_titles(sharp)} ended in the sharp valley "
        f"(curvature {settings.sharp:g}), {optimizer_titles(flat)} in the flat one (curvature "
        f"{settings.flat:g})."
    )
    return Shown(
        [Chart("valleys", figure, 440, wide=True, moves=True)], finding, settings.effective
    )


def _network() -> Shown:
    shipped = recording("noisy_digits")
    tables = shipped.tables
    losses = {split: tables[f"line_{split}_loss"] for split in ("train", "test")}
    alpha = tables["line_alpha"]
    ends: dict[str, Any] = {
        split: [float(np.interp(at, alpha, values)) for at in (0, 1)]
        for split, values in losses.items()
    }
    right = [float(np.interp(at, alpha, tables["line_test_accuracy"])) for at in (0, 1)]
    eigenvalues = [float(shipped.runs[f"{n}_0"].looks["values"][-1, 0]) for n in ("sgd", "samar")]
    finding = (
        "A real network on digits with 40 % wrong labels, trained twice from the same weights. On "
        f"the images trained on, SGD's end is deeper: loss {ends['train'][0]:.2f} against "
        f"{ends['train'][1]:.2f}. On test images it is the other way round: "
        f"{ends['test'][0]:.2f} against {ends['test'][1]:.2f}, and {100 * right[0]:.0f} % "
        f"against {100 * right[1]:.0f} % right. The largest eigenvalue at the end is "
        f"{eigenvalues[0]:.3g} for SGD and {eigenvalues[1]:.3g} for SAMAR."
    )
    charts = [
        Chart(f"film_{name}", landscape_figure(m.axes, m.loss, title, top=4.0), 340, moves=True)
        for name, title in (("sgd", "Around SGD's weights"), ("samar", "Around SAMAR's weights"))
        if (m := shipped.runs[f"{name}_0"].film) is not None
    ]
    charts.append(Chart("line", valley_line_figure(alpha, losses), 400, wide=True))
    return Shown(charts, finding, shipped.facts(), "replay", NETWORK)


LESSON = Lesson(
    title="Sharp versus flat",
    question="Same start, same noise: why do two optimizers end in different valleys?",
    badge="live",
    draw=_draw,
    defaults={"l1_show": "two", "l1_seed": 0},
    look_for=(
        "Press play. All paths leave the same point, on the wall of the narrow valley.",
        "[[sgd]] slides to the bottom of the narrow valley and stays.",
        "[[samar]] and [[sam]] look a distance [[rho|ρ]] uphill before each step (the circle). The "
        "narrow valley is smaller than that circle, so they see over its edge and leave.",
        "Change the seed: the wiggles differ, the valleys do not.",
        "Then choose the real network: there the [[loss]] has 40,000 [[weights]] instead of two.",
    ),
    why="A place is [[sharpness|sharp]] if a small push of the weights makes the loss climb far. "
    "SGD sees only the slope where it stands. Sharpness-aware methods use the slope at the pushed "
    "weights, so a valley narrower than the push does not hold them.\n\n"
    "Why want a [[flat]] place? Test images are a little different from training images, which "
    "shifts the loss a little. In a flat valley a small shift costs little. That is an image, not "
    "a proof: lesson 6 shows how plots mislead.",
    notes="Ask for a guess before pressing play: which one leaves? Then drag the start in the "
    "*Playground* to the right of the ridge: everybody ends in the flat valley, so the start "
    "matters as much as the method. Five minutes.\n\n"
    "A frequent question: *is the flat valley lower?* No, both bottoms have the same loss here.",
    sources=("sam", "samar"),
)
