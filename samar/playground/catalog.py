"""What the playground offers, as plain data: its losses and the bounds of every setting.

Nothing here imports torch, so a page can draw its controls before torch is loaded.
"""

from dataclasses import dataclass

from samar.optim.settings import RULE_CONSTANTS, SAMARSettings
from samar.settings.declare import settings_of


@dataclass(frozen=True)
class Knob:
    """A number that can be set: its default, the closed range allowed, and its meaning.

    Attributes:
        step: Grid of a slider; 0 asks for a logarithmic one.
        label: What a person reads.
        help: One or two sentences, for readers who see the symbol for the first time.
    """

    default: float
    low: float
    high: float
    step: float
    label: str
    help: str


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
        shape: Its own knobs by name.
    """

    title: str
    help: str
    formula: str
    start: tuple[float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    shape: dict[str, Knob]


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
        shape={
            "sharp": Knob(
                40.0, 1.0, 150.0, 1.0, "curvature, left", "Second derivative h₁ in the left valley."
            ),
            "flat": Knob(
                1.0, 0.2, 40.0, 0.2, "curvature, right", "Second derivative h₂ in the right valley."
            ),
            "distance": Knob(
                3.0, 1.5, 5.0, 0.1, "distance", "How far the two bottoms are from each other."
            ),
            "depth": Knob(
                0.0,
                -1.0,
                1.0,
                0.05,
                "head start of the left",
                "How much lower the loss is at the bottom of the left valley: what a flat "
                "minimum may cost.",
            ),
        },
    ),
    "bowl": LandscapeInfo(
        title="One bowl",
        help="A parabola, steep along one axis and shallow along the other; quartic walls make it "
        "steeper the farther out.",
        formula=r"f = \tfrac12 (h_1 x^2 + h_2 y^2) + \tfrac14 w (x^4 + y^4)",
        start=(1.0, 1.8),
        x_range=(-3.2, 3.2),
        y_range=(-2.4, 2.4),
        shape={
            "steep": Knob(
                20.0, 0.5, 100.0, 0.5, "curvature along x", "Second derivative h₁ at the bottom."
            ),
            "shallow": Knob(
                1.0, 0.1, 100.0, 0.1, "curvature along y", "Second derivative h₂ at the bottom."
            ),
            "walls": Knob(
                0.0, 0.0, 50.0, 0.5, "walls", "Weight w of the quartic term; 0 is a pure parabola."
            ),
        },
    ),
    "ravine": LandscapeInfo(
        title="A bent ravine",
        help="Rosenbrock's function, scaled: a narrow, curved ravine with an almost level floor. "
        "Falling into it is quick, following it is slow.",
        formula=r"f = \tfrac15 \left[(1 - x)^2 + b\,(y - x^2)^2\right]",
        start=(-1.2, 1.6),
        x_range=(-2.2, 2.2),
        y_range=(-0.9, 2.7),
        shape={
            "bend": Knob(
                10.0, 1.0, 100.0, 1.0, "steepness of the walls", "Factor b in front of the wall."
            ),
        },
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
        shape={
            "bowl": Knob(
                1.0, 0.1, 10.0, 0.1, "curvature of the bowl", "Second derivative h of the bowl."
            ),
            "height": Knob(
                0.15, 0.0, 1.0, 0.01, "height of the ripples", "Amplitude a; 0 is a plain bowl."
            ),
            "length": Knob(
                0.8, 0.3, 2.0, 0.05, "length of the ripples", "Distance ℓ from dent to dent."
            ),
        },
    ),
}

SETTINGS: dict[str, Knob] = {
    "x": Knob(-1.35, -4.0, 4.0, 0.01, "start x", "Where all optimizers start, left to right."),
    "y": Knob(0.3, -4.0, 4.0, 0.01, "start y", "Where all optimizers start, bottom to top."),
    "lr": Knob(
        0.03,
        0.001,
        1.0,
        0.0,
        "learning rate η",
        "Length of a step along the descent direction. Plain gradient descent becomes unstable "
        "where the curvature exceeds 2/η.",
    ),
    "rho": Knob(
        0.7,
        0.0,
        2.0,
        0.01,
        "radius ρ",
        "How far uphill SAM, VaSSO and SAMAR look before they step: the radius of the ball in "
        "which they seek the highest loss.",
    ),
    "theta": Knob(
        0.9,
        0.0,
        1.0,
        0.01,
        "VaSSO θ",
        "Weight of the newest gradient in VaSSO's uphill direction; 1 is SAM, smaller averages "
        "more noise away.",
    ),
    "momentum": Knob(
        0.5,
        0.0,
        0.99,
        0.01,
        "momentum",
        "Share of the last step that the next one keeps, for all optimizers.",
    ),
    "noise": Knob(
        0.5,
        0.0,
        5.0,
        0.05,
        "gradient noise",
        "Each step tilts the loss at random, as a mini-batch does: the standard deviation of "
        "either component of the tilt. All optimizers see the same tilts.",
    ),
    "seed": Knob(0, 0, 9999, 1, "seed", "Chooses the random tilts."),
    "steps": Knob(150, 10, 400, 10, "steps", "Steps of each optimizer."),
    "lam": Knob(
        1.0,
        0.0,
        20.0,
        0.05,
        "λ at the start",
        "How strongly SAMAR weighs the gradient at the perturbed point: 0 is SGD, 1 is SAM.",
    ),
    "lam_min": Knob(0.1, 0.0, 20.0, 0.05, "λ floor", "λ never falls below this."),
    "lam_max": Knob(3.0, 0.0, 20.0, 0.05, "λ ceiling", "λ never rises above this."),
    "beta": Knob(
        0.0,
        0.0,
        0.99,
        0.01,
        "averaging β",
        "Averaging of the sharpness before the ratio is taken; 0 is the raw ratio. Training runs "
        "average by default; here the raw ratio lets λ answer within 150 steps.",
    ),
}
"""Every setting that is a number, but for the shape of a loss and the constants of a λ rule."""

STEPS = {"memory": 1.0, "gamma": 0.05}
CONSTANTS: dict[str, Knob] = {
    name: Knob(
        known.default,
        known.low or 0,
        known.high or 0,
        STEPS.get(name, 0.01),
        known.label,
        known.help,
    )
    for name, known in settings_of(SAMARSettings).items()
    if name in RULE_CONSTANTS
}
"""The constants of all λ rules; what they are is the optimizer's."""

WHOLE = ("seed", "steps")
"""Settings that are whole numbers."""
