"""Lesson 5: curvature and step size: λ_max against 2/η."""

import numpy as np

from samar.charts.lessons.geometry import looks_figure, stability_figure
from samar.charts.lessons.parts import line, words_panel
from samar.charts.theme import OPTIMIZER_STYLES
from samar.recordings.catalog import recording
from samar.web.lessons.frame import Lesson, Picture, Shown, moment

NAMES = ("sgd", "sam", "samar")
LOOKS = 81


def _draw() -> Shown:
    shipped = recording("step_size")
    tables = shipped.tables
    until = moment(
        "l5_at",
        LOOKS,
        "Show up to look",
        "One look at λ_max every 20 steps; the link keeps it.",
    )
    lr = float(tables["lr"])
    at, top, error = (
        {name: tables[f"{name}_{column}"] for name in NAMES}
        for column in ("at", "lam_max", "residual")
    )
    ends = {name: float(top[name][until - 1]) for name in NAMES}
    finding = (
        f"η = {lr:g}, so 2/η = {2 / lr:g}. After step {int(at['sgd'][until - 1])} gradient descent "
        f"is at λ_max = {ends['sgd']:.1f}, SAM at {ends['sam']:.1f}, SAMAR at {ends['samar']:.1f}."
    )
    noisy = recording("noisy_digits").runs
    looks = {
        title: (noisy[key].config["optimizer"], noisy[key].looks)
        for title, key in (("SGD", "sgd_0"), ("SAM ρ 0.5", "sam_0.5_0"), ("SAMAR", "samar_0"))
    }
    steps = int(at["sgd"][until - 1])
    losses = [
        line(np.arange(1.0, steps + 1), tables[f"{n}_loss"][:steps], OPTIMIZER_STYLES[n].title, n)
        for n in NAMES
    ]
    loss = words_panel(
        losses,
        title="Loss of the small network",
        alt="Training loss over steps; it falls for all three, not smoothly where λ_max is at 2/η.",
        x={"title": "step (all images at once)", "range": [0, float(at["sgd"][-1])]},
        y={"title": "cross-entropy (nats)"},
    )
    pictures = [
        Picture("stability", stability_figure(at, top, error, lr, until), 400, True, True),
        Picture("stability_loss", loss),
        Picture("looks", looks_figure(looks)),
    ]
    return Shown(pictures, finding, shipped.facts())


LESSON = Lesson(
    title="Curvature and step size",
    question="How sharp may a valley be before a step of length η jumps out of it?",
    badge="replay",
    draw=_draw,
    defaults={"l5_at": LOOKS},
    look_for=(
        "Plain gradient descent on all images at once: [[lam_max]] climbs by itself until it "
        "reaches [[two_over_eta]], and then hovers just above.",
        "SAM stays below the line: looking uphill keeps it out of sharp places.",
        "SAMAR saws: its [[lam|λ]] rests at the floor while the curvature climbs, shoots up to the "
        "ceiling, throws the weights into a flatter place (a small jump of the loss), and sinks.",
        "At the line the [[loss]] begins to jitter, and still falls on the whole.",
        "On the right the runs of lesson 4: mini-batches, momentum, falling η. Nothing holds them "
        "at the line, and they do not follow it.",
    ),
    why="On a parabola with curvature $a$ a step multiplies the distance to the bottom by "
    "$1-\\eta a$. It shrinks only while $a<2/\\eta$. Above, each step overshoots farther than the "
    "last. So gradient descent cannot stay where it is sharper than $2/\\eta$.\n\n"
    "**2/η is gradient descent's reference, not a law.** Momentum moves the limit, mini-batches "
    "blur it, and SAM has another one, below.",
    notes="Ask: what happens if η is halved in mid-run? (λ_max is free to climb on, to the new "
    "line.) The small network has 64, 32 and 10 units and 40 % wrong labels, so that training "
    "takes long enough for the climb. Each [[eigenvalue]] carries its residual as a bar; here "
    "they are too small to see.",
    sources=("edge", "dinh"),
)
