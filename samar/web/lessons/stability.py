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
from samar.recordings import recording
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
    "stability",
    badge="replay",
    draw=_draw,
    defaults={"l5_at": MEASUREMENTS},
)
