"""Settings that show one thing each, with a sentence on what to look for; torch-free."""

from dataclasses import dataclass, field
from typing import Any

from samar.playground.settings import PlaygroundSettings


@dataclass(frozen=True)
class Preset:
    """A named setting of the playground.

    Attributes:
        title: What a person reads.
        help: What to look for.
        changes: What differs from ``PlaygroundSettings()``.
    """

    title: str
    help: str
    changes: dict[str, Any] = field(default_factory=dict)

    def config(self, **further: Any) -> PlaygroundSettings:
        """The preset's settings, with further changes on top."""
        return PlaygroundSettings.parse(self.changes | further)


_WALLS = {"steep": 4.0, "shallow": 1.0, "walls": 2.0}

PRESETS: dict[str, Preset] = {
    "two_valleys": Preset(
        title="Sharp or flat?",
        help="All four start on the wall of the sharp valley. The sharp valley is narrower than "
        "the ball of radius ρ: SAM, VaSSO and SAMAR see over its edge and leave, SGD stays.",
    ),
    "small_rho": Preset(
        title="ρ too small",
        help="The same valleys and start, but the ball fits into the sharp valley: SAM cannot see "
        "over the edge and stays where SGD stays.",
        changes={"rho": 0.1},
    ),
    "parked": Preset(
        title="SAM parks beside the valley",
        help="Without momentum SAM stops on the edge of the sharp valley: from there its uphill "
        "step ends exactly at the sharp bottom, where the gradient is zero. SAMAR's λ rises and "
        "shakes it loose.",
        changes={"momentum": 0.0, "lr": 0.02, "rho": 0.5},
    ),
    "large_rho": Preset(
        title="ρ too large",
        help="The walls of this bowl get steeper the farther out. With a large ρ the gradient is "
        "taken so high on the wall that each step is longer than the last: all but SGD diverge.",
        changes={"landscape": "bowl", "x": 0.8, "y": 0.8}
        | _WALLS
        | {"rho": 1.5, "lr": 0.05, "momentum": 0.0, "noise": 0.0},
    ),
    "runaway": Preset(
        title="λ runs away",
        help="The same bowl with a little less ρ and some noise: SAM and VaSSO bounce but hold. "
        "SAMAR's λ climbs with every jump of the ratio, which acts like a larger ρ, until it "
        "diverges. A lower λ ceiling holds it.",
        changes={"landscape": "bowl", "x": 0.8, "y": 0.8}
        | _WALLS
        | {"rho": 1.2, "lr": 0.05, "momentum": 0.0, "noise": 0.5},
    ),
    "equal": Preset(
        title="Two equal valleys",
        help="Both valleys have the same curvature, so there is no flatter one to prefer: all stay "
        "where they start.",
        changes={"sharp": 8.0, "flat": 8.0, "x": -0.6, "y": 0.8},
    ),
    "large_step": Preset(
        title="η above 2/curvature",
        help="No perturbation is needed to leave a sharp valley: with η above 2/40 = 0.05 plain "
        "gradient descent is unstable in it, and SGD too is thrown into the flat one.",
        changes={"lr": 0.06, "momentum": 0.0},
    ),
    "ripples": Preset(
        title="Noise and ripples",
        help="Small sharp dents cover a wide bowl. SGD is caught by one; looking ρ ahead smooths "
        "the dents, and for most seeds SAM and VaSSO roll to the middle. The noise raises SAMAR's "
        "λ until it jumps about among the outer dents.",
        changes={"landscape": "ripples", "lr": 0.02, "rho": 0.4, "momentum": 0.0, "noise": 1.0},
    ),
    "ravine": Preset(
        title="A bent ravine",
        help="No second valley here, only a long curved floor between steep walls. Sharpness-aware "
        "steps bounce off the walls, and the stronger λ is the slower they advance.",
        changes={"landscape": "ravine", "lr": 0.01, "rho": 0.1, "momentum": 0.9, "noise": 0.2},
    ),
}
