"""Lesson 2: what ρ does: too little, right, too much."""

import numpy as np

from samar.charts.lessons import radius_figure
from samar.charts.playground import plane
from samar.recordings import Array, recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown
from samar.web.lessons.valleys import descents

CASES = {"small_rho": "too little", "two_valleys": "right", "large_rho": "too much"}
"""Presets of the playground."""


def radii() -> tuple[Array, Array, Array]:
    """ρ (n,), and test and training accuracy (n, 3) of SAM after the last epoch, three seeds."""
    runs = recording("radius").runs
    noisy = recording("noisy_digits").runs
    found: dict[float, list[tuple[float, float]]] = {}
    for source, keys in ((runs, runs), (noisy, [k for k in noisy if k.startswith("sam_")])):
        for key in keys:
            run = source[key]
            if run.config["seed"] < 3:
                ends = [float(run.epochs[n][-1]) for n in ("test_accuracy", "train_accuracy")]
                found.setdefault(run.config["rho"], []).append((ends[0], ends[1]))
    rho = np.array(sorted(found))
    both = np.array([found[value] for value in rho.tolist()])
    return rho, both[..., 0], both[..., 1]


def _draw() -> Shown:
    case = segmented("Radius ρ", "l2_case", CASES, "two_valleys")
    settings, paths, outcomes = descents(case, 0)
    rho, test, train = radii()
    best = int(test.mean(axis=1).argmax())
    sam, path = outcomes["sam"], paths["sam"]
    if sam.kind == "diverged":
        said = (
            f"ρ = {settings.rho:g}: SAM diverged after {path.steps} steps, although SGD, from the "
            "same start with the same learning rate, reached the bottom."
        )
    else:
        said = f"ρ = {settings.rho:g}: SAM ended in the {sam.valley} valley."
    finding = (
        f"{said} On the digits SAM is best at ρ = {rho[best]:g} ({100 * test[best].mean():.0f} % "
        f"of test images); at ρ = {rho[0]:g} it is near SGD ({100 * test[0].mean():.0f} %), at "
        f"ρ = {rho[-1]:g} it hardly learns ({100 * test[-1].mean():.0f} %; guessing gives 10)."
    )
    charts = [
        Chart("radius_paths", plane(settings, paths, "sam"), 400, moves=True),
        Chart("radius_accuracy", radius_figure(rho, test, train), 400),
    ]
    return Shown(charts, finding, recording("radius").facts())


LESSON = Lesson(
    "radius",
    badge="live replay",
    draw=_draw,
    defaults={"l2_case": "two_valleys"},
)
