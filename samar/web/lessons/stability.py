"""Lesson 5: curvature and step size: the largest eigenvalue against 2/η."""

import numpy as np

from samar.charts.lessons import (
    edge_figure,
    eigenvalues_figure,
    kappa_figure,
    line,
    stability_figure,
)
from samar.charts.theme import OPTIMIZER_STYLES, panel
from samar.recordings.catalog import recording
from samar.web.lessons.frame import Chart, Lesson, Shown, moment

NAMES = ("sgd", "sam", "samar")
MEASUREMENTS = 81


def _draw() -> Shown:
    shipped = recording("step_size")
    tables = shipped.tables
    until = moment(
        "l5_at",
        MEASUREMENTS,
        "Show up to measurement",
        "The eigenvalues are measured every 20 steps; the link keeps it.",
    )
    lr = float(tables["lr"])
    at, top, error, edge = (
        {name: tables[f"{name}_{column}"] for name in NAMES}
        for column in ("at", "lam_max", "residual", "edge")
    )
    over = {name: top[name] / edge[name] for name in NAMES}
    ends = {name: float(top[name][until - 1]) for name in NAMES}
    finding = (
        f"η = {lr:g}, so 2/η = {2 / lr:g}. After step {int(at['sgd'][until - 1])} the largest "
        f"eigenvalue is {ends['sgd']:.1f} with gradient descent, {ends['sam']:.1f} with SAM and "
        f"{ends['samar']:.1f} with SAMAR: {over['sgd'][until - 1]:.2f}, "
        f"{over['sam'][until - 1]:.2f} and {over['samar'][until - 1]:.2f} times each one's edge."
    )
    noisy = recording("noisy_digits").runs
    measured = {
        title: (noisy[key].config["optimizer"], noisy[key].looks)
        for title, key in (("SGD", "sgd_0"), ("SAM ρ 0.5", "sam_0.5_0"), ("SAMAR", "samar_0"))
    }
    steps = int(at["sgd"][until - 1])
    losses = [
        line(np.arange(1.0, steps + 1), tables[f"{n}_loss"][:steps], OPTIMIZER_STYLES[n].title, n)
        for n in NAMES
    ]
    loss = panel(
        losses,
        title="Loss of the small network",
        alt="Training loss over steps; it falls for all three, not smoothly where the largest "
        "eigenvalue is at 2/η.",
        x_axis={"title": "step (all images at once)", "range": [0, float(at["sgd"][-1])]},
        y_axis={"title": "cross-entropy (nats)"},
    )
    charts = [
        Chart("stability", stability_figure(at, top, error, lr, until), 400, True, True),
        Chart("stability_edge", edge_figure(at, over, until), moves=True),
        Chart(
            "stability_kappa",
            kappa_figure(at["samar"], tables["samar_kappa"], tables["samar_kappa_expected"], until),
            moves=True,
        ),
        Chart("stability_loss", loss),
        Chart("looks", eigenvalues_figure(measured)),
    ]
    return Shown(charts, finding, shipped.facts())


LESSON = Lesson(
    title="Curvature and step size",
    question="How sharp may a valley be before a step of length η jumps out of it?",
    badge="replay",
    draw=_draw,
    defaults={"l5_at": MEASUREMENTS},
    look_for=(
        "Plain gradient descent on all images at once: [[lam_max]] climbs by itself until it "
        "reaches [[two_over_eta]], and then hovers just above.",
        "SAM stays below the line, because its own [[edge]] is lower. Divided by that edge all "
        "three hover around 1: each climbs until its own steps overshoot.",
        "While the curvature climbs, SAMAR keeps its [[lam|λ]] at the floor. When the sharpness "
        "grows fast, λ rises to the ceiling, which lowers SAMAR's edge far below the curvature: "
        "the weights are thrown to a flatter place (the loss jumps), and λ falls again.",
        "SAMAR never computes a Hessian. What it sees of it is [[kappa]]: what it measures and "
        "what the Hessian gives agree to some ten percent.",
        "At the line the [[loss]] begins to jitter, and still falls on the whole.",
        "At the bottom the runs of lesson 4: mini-batches, momentum, falling η. Nothing holds them "
        "at the line, and they do not follow it.",
    ),
    why="On a parabola with curvature $a$ a step multiplies the distance to the bottom by "
    "$1-\\eta a$. It shrinks only while $a<2/\\eta$. Above, each step overshoots farther than the "
    "last. So gradient descent cannot stay where it is sharper than $2/\\eta$.\n\n"
    "**Above 2/η plain gradient descent is unstable; for SAM and SAMAR it is only a reference.** "
    "Momentum moves the limit, mini-batches blur it, and SAM has another one, below: its gradient "
    "is taken ρ uphill, where it is larger by $\\rho a$, so that a step multiplies the distance "
    "by $1-\\eta a(1+\\rho a/\\lVert g\\rVert)$. With $\\lambda\\rho$ in place of ρ it is SAMAR's: "
    "**λ moves the edge, and where the sharpness grows, SAMAR moves it below the curvature.** "
    "(SAM's edge is Long and Bartlett's; λ in it is our own step.)",
    notes="Ask: what happens if η is halved in mid-run? (The largest eigenvalue may climb on, "
    "to the new line.) The small network has 64, 32 and 10 units and 40 % wrong labels, so that "
    "training takes long enough for the climb. Each [[eigenvalue]] carries its residual as a bar; "
    "here they are too small to see.",
    sources=("edge", "sam_edge", "dinh"),
)
