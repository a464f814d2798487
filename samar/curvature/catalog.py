"""What can be asked of the curvature instruments: engines, measures, bounds; without torch."""

import math
from dataclasses import dataclass

from samar.errors import ConfigError


@dataclass(frozen=True)
class MeasureInfo:
    """One number that is called sharpness.

    Attributes:
        title: its name.
        definition: formula in LaTeX.
        cost: what it takes, in gradients' or products' worth.
        caveat: what it does not say.
        invariant: whether rescaling a ReLU network's layers, which leaves the function as it is,
            leaves the number as it is too (Dinh et al. 2017, arXiv 1703.04933).
    """

    title: str
    definition: str
    cost: str
    caveat: str
    invariant: bool


ENGINES = {
    "lanczos": "our own: a residual for every eigenvalue, few products",
    "pyhessian": "the package, as a reference: deflated power iteration",
}

MEASURES = {
    "lambda_max": MeasureInfo(
        "λ_max",
        r"\max_{\|v\|=1} v^\top H v",
        "about 3 products per eigenvalue",
        "Changes when layers are rescaled; says nothing about the other directions.",
        False,
    ),
    "lambda_ratio": MeasureInfo(
        "λ_max / λ_5",
        r"\lambda_1 / \lambda_5",
        "none beyond the eigenvalues",
        "Tells one sharp direction from many; not how sharp any is.",
        False,
    ),
    "trace": MeasureInfo(
        "trace",
        r"\operatorname{tr} H = \sum_i \lambda_i",
        "60 products",
        "An estimate with a standard error; negative eigenvalues cancel positive ones.",
        False,
    ),
    "sam_first_order": MeasureInfo(
        "SAM, first order",
        r"\rho\,\|\nabla f\|",
        "1 gradient",
        "Only the slope: zero at every stationary point, however curved.",
        False,
    ),
    "sam_ascent": MeasureInfo(
        "SAM, after the ascent",
        r"f(\theta + \rho\,\nabla f/\|\nabla f\|) - f(\theta)",
        "1 gradient, 1 forward pass",
        "One gradient step, not the maximum over the ball; what SAM and SAMAR see in training.",
        False,
    ),
    "gaussian": MeasureInfo(
        "average case",
        r"\mathbb E_z f(\theta + \tfrac{\rho}{\sqrt n} z) - f(\theta) "
        r"\approx \tfrac{\rho^2}{2n}\operatorname{tr} H",
        "40 forward passes",
        "Most directions are flat, so it is tiny beside the worst case at the same distance.",
        False,
    ),
    "asam_first_order": MeasureInfo(
        "ASAM, first order",
        r"\rho\,\|\,|\theta| \odot \nabla f\,\|",
        "1 gradient",
        "As for SAM; weights that are zero do not count.",
        True,
    ),
    "asam_ascent": MeasureInfo(
        "ASAM, after the ascent",
        r"f(\theta + \rho\,T^2\nabla f/\|T\nabla f\|) - f(\theta),\; "
        r"T = \operatorname{diag}|\theta|",
        "1 gradient, 1 forward pass",
        "ρ is relative to the weights here and cannot be compared with SAM's.",
        True,
    ),
    "scaled_lambda_max": MeasureInfo(
        "scale-adjusted λ_max",
        r"\max_{\|v\|=1} v^\top T H T v,\; T = \operatorname{diag}|\theta|",
        "about 10 products",
        "Invariant to rescaling layers, not to every reparametrization.",
        True,
    ),
}


@dataclass(frozen=True)
class Request:
    """What to measure, and how exactly.

    Attributes:
        top: how many of the largest eigenvalues.
        tol: largest residual of an eigenvalue, relative to it.
        images: evenly spaced over the split.
        split: ``test`` or ``train``.
        engine: a key of :data:`ENGINES`.
        both_ends: whether the smallest eigenvalues must converge too.
        density, trace, layers, sharpness: what to measure besides.
        rho: radius of the sharpness measures.
        max_products: for the eigenvalues.
        seed: of every random vector.

    Raises:
        ConfigError: a value is out of range.
    """

    top: int = 5
    tol: float = 1e-3
    images: int = 256
    split: str = "test"
    engine: str = "lanczos"
    both_ends: bool = False
    density: bool = False
    trace: bool = False
    layers: bool = False
    sharpness: bool = False
    rho: float = 0.05
    max_products: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ConfigError(f"{self.top} eigenvalues were asked for; choose at least 1.")
        if self.images < 1:
            raise ConfigError(f"{self.images} images were asked for; choose at least 1.")
        if not 0 < self.tol < 1:
            raise ConfigError(f"The tolerance is {self.tol:g}; choose one between 0 and 1.")
        if not (self.rho > 0 and math.isfinite(self.rho)):
            raise ConfigError(f"ρ is {self.rho:g}; choose a positive radius, such as 0.05.")
        for name, known in (("split", ("test", "train")), ("engine", ENGINES)):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"The {name} is {getattr(self, name)!r}; choose {' or '.join(known)}."
                )
