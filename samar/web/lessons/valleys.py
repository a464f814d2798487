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
from samar.recordings import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown
from samar.web.text import optimizer_titles

SHOWN = {"two": "two weights (live)", "network": "the real network (replay)"}


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
    return Shown(charts, finding, shipped.facts(), "replay", "In the real network")


LESSON = Lesson(
    "valleys",
    badge="live",
    draw=_draw,
    defaults={"l1_show": "two", "l1_seed": 0},
)
