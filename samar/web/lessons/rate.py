"""Lesson 7: the rate O(1/√K), measured."""

from samar.charts.lessons import rate_figure, slope
from samar.charts.theme import OPTIMIZER_STYLES
from samar.recordings import recording
from samar.web.controls import segmented
from samar.web.lessons.frame import Chart, Lesson, Shown

NAMES = ("sgd", "sam", "samar")
WHAT = {"mean": "mean over the steps", "min": "smallest"}


def _draw() -> Shown:
    shipped = recording("rate")
    tables = shipped.tables
    what = segmented("Squared gradient", "l7_what", WHAT)
    horizon = tables["horizon"].astype(float)
    squares = {name: tables[f"{name}_{what}"] for name in NAMES}
    slopes = {name: slope(horizon, values.mean(axis=1)) for name, values in squares.items()}
    said = ", ".join(
        f"{OPTIMIZER_STYLES[name].title} {value:.2f}".replace("-", "−")
        for name, value in slopes.items()
    )
    price = float(tables["samar_price"].mean())
    finding = (
        f"Measured slopes: {said}. A fall like 1/√K has slope −0.5; steeper is faster. SAMAR took "
        f"{price:.2f} gradients a step, SAM 2."
    )
    figure = rate_figure(horizon, squares, "mean" if what == "mean" else "smallest")
    return Shown([Chart("rate", figure, 440, wide=True)], finding, shipped.facts())


LESSON = Lesson(
    "rate",
    badge="replay",
    draw=_draw,
    defaults={"l7_what": "mean"},
)
