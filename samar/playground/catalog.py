"""The losses that the playground offers, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LandscapeInfo:
    """A loss of two parameters as a chooser shows it.

    Attributes:
        title: What a person reads.
        help: One or two sentences on what it is.
        formula: f(x, y) in LaTeX.
        start: Where the optimizers start unless told otherwise.
        x_range: Shown from left to right.
        y_range: Shown from bottom to top.
    """

    title: str
    help: str
    formula: str
    start: tuple[float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]


LANDSCAPES: dict[str, LandscapeInfo] = {
    "valleys": LandscapeInfo(
        title="A sharp and a flat valley",
        help="Two round valleys side by side: the left one narrow and sharp, the right one wide "
        "and flat. Near each bottom the loss is a parabola with the curvature you set.",
        formula=r"f = -T \log\left(e^{-q_1/T} + e^{-q_2/T}\right), \qquad "
        r"q_1 = \tfrac12 h_1 \lVert x - c_1 \rVert^2, \quad "
        r"q_2 = \tfrac12 h_2 \lVert x - c_2 \rVert^2 + d",
        start=(-1.35, 0.3),
        x_range=(-3.0, 3.4),
        y_range=(-2.0, 2.0),
    ),
    "bowl": LandscapeInfo(
        title="One bowl",
        help="A parabola, steep along one axis and shallow along the other; quartic walls make it "
        "steeper the farther out.",
        formula=r"f = \tfrac12 (h_1 x^2 + h_2 y^2) + \tfrac14 w (x^4 + y^4)",
        start=(1.0, 1.8),
        x_range=(-3.2, 3.2),
        y_range=(-2.4, 2.4),
    ),
    "ravine": LandscapeInfo(
        title="A bent ravine",
        help="Rosenbrock's function, scaled: a narrow, curved ravine with an almost level floor. "
        "Falling into it is quick, following it is slow.",
        formula=r"f = \tfrac15 \left[(1 - x)^2 + b\,(y - x^2)^2\right]",
        start=(-1.2, 1.6),
        x_range=(-2.2, 2.2),
        y_range=(-0.9, 2.7),
    ),
    "ripples": LandscapeInfo(
        title="A rippled bowl",
        help="A wide bowl covered with small dents, each a sharp local minimum that can hold an "
        "optimizer back.",
        formula=r"f = \tfrac12 h (x^2 + y^2) + a \left[2 - \cos(2\pi x/\ell) "
        r"- \cos(2\pi y/\ell)\right]",
        start=(-2.3, 1.55),
        x_range=(-3.0, 3.0),
        y_range=(-2.3, 2.3),
    ),
}
