"""Lesson 2: what ρ does: too little, right, too much."""

import numpy as np

from samar.charts.lessons import radius_figure
from samar.charts.playground import plane
from samar.recordings.catalog import Array, recording
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
    title="What ρ does",
    question="How far should one look uphill?",
    badge="live replay",
    draw=_draw,
    defaults={"l2_case": "two_valleys"},
    look_for=(
        "Too little: the circle of [[rho|radius ρ]] fits into the narrow valley. SAM cannot see "
        "over the edge and does what [[sgd]] does.",
        "Right: the circle is wider than the narrow valley, and narrower than the wide one.",
        "Too much: another loss, whose walls get steeper the farther out. The slope is taken so "
        "high on the wall that every step is longer than the last: SAM **diverges**.",
        "On the right, a real network trained at six radii: between “does next to nothing” and "
        "“learns nothing” lies a factor of 40.",
    ),
    why="The [[perturbation|push]] has length ρ, so ρ sets the size of valley that counts as "
    "narrow. A network with BatchNorm does not blow up at a large ρ, because each layer is "
    "rescaled. It fails in another way: the loss stays near $\\ln 10$, the price of guessing.\n\n"
    "The best ρ depends on the network, the data and λ. 0.05 is usual for "
    "CIFAR-10; these noisy digits want ten times as much.",
    notes="Let the class choose a ρ for the *Playground* by show of hands. Then ask how one would "
    "choose ρ without looking at test images (a validation set, see *Sweeps*).\n\n"
    "The test accuracies here are of the last epoch, three seeds each; the recordings were not "
    "used to choose anything else.",
    sources=("sam", "vasso"),
)
