"""What the playground is asked to do: one loss, one start, and the settings of all optimizers.

Nothing here imports torch, so a page can draw its controls before torch is loaded.
"""

from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from samar.optim.catalog import OPTIMIZERS, OptimizerSettings
from samar.playground.catalog import LANDSCAPES
from samar.settings.declare import setting, setting_like, settings_of, titles

START = LANDSCAPES["valleys"].start


def _shape(
    landscape: str, default: float, low: float, high: float, step: float, label: str, help: str
) -> Any:
    """A number in the formula of one loss."""
    return setting(
        default,
        help,
        group="shape",
        label=label,
        step=step,
        when=lambda s: s.landscape == landscape,
        ge=low,
        le=high,
    )


class PlaygroundSettings(OptimizerSettings):
    """One loss, one start and the settings of all optimizers.

    The λ rule starts as the dead band on the raw ratio, which moves λ within a hundred steps; what
    training runs start with is made for thousands. A start that is left out is the loss' own.

    Example:
        >>> PlaygroundSettings.parse({"rho": -1})
        Traceback (most recent call last):
        ...
        samar.errors.ConfigError: rho is -1, but it must be at least 0; choose another value.
    """

    optimizer: ClassVar[str] = "samar"
    """Whose settings of λ have an effect; all optimizers descend side by side."""

    landscape: str = setting(
        "valleys",
        "The function of two numbers on which the optimizers descend.",
        label="loss",
        choices=titles(LANDSCAPES),
    )
    optimizers: tuple[str, ...] = setting(
        tuple(OPTIMIZERS), "All start at the same point and see the same noise."
    )
    x: float = setting(
        START[0],
        "Where all optimizers start, left to right.",
        label="start x",
        step=0.01,
        ge=-4,
        le=4,
    )
    y: float = setting(
        START[1],
        "Where all optimizers start, bottom to top.",
        label="start y",
        step=0.01,
        ge=-4,
        le=4,
    )
    lr: float = setting(
        0.03,
        "Length of a step along the descent direction. Plain gradient descent becomes unstable "
        "where the curvature exceeds 2/η.",
        label="learning rate η",
        log=True,
        ge=0.001,
        le=1,
    )
    rho: float = setting(
        0.7,
        "How far uphill SAM, VaSSO and SAMAR look before they step: the radius of the ball in "
        "which they seek the highest loss.",
        label="radius ρ",
        ge=0,
        le=2,
    )
    momentum: float = setting(
        0.5, "Share of the last step that the next one keeps, for all optimizers.", ge=0, lt=1
    )
    noise: float = setting(
        0.5,
        "Each step tilts the loss at random, as a mini-batch does: the standard deviation of "
        "either component of the tilt. All optimizers see the same tilts.",
        label="gradient noise",
        ge=0,
        le=5,
    )
    seed: int = setting(0, "Chooses the random tilts.", ge=0, le=9999)
    steps: int = setting(150, "Steps of each optimizer.", step=10, ge=10, le=400)
    weight_decay: ClassVar[float] = 0.0  # type: ignore[misc]
    nesterov: ClassVar[bool] = False  # type: ignore[misc]
    rule: str = setting_like(OptimizerSettings, "rule", "dead_band")
    second_pass: str = setting_like(
        OptimizerSettings,
        "second_pass",
        "always",
        "When SAMAR takes its second gradient; the others take theirs at every step.",
    )
    lam_min: float = setting_like(OptimizerSettings, "lam_min", 0.1)
    lam_max: float = setting_like(OptimizerSettings, "lam_max", 3.0)
    beta: float = setting_like(
        OptimizerSettings,
        "beta",
        0.0,
        "Averaging of the sharpness before the ratio is taken; 0 is the raw ratio. Training runs "
        "average by default; here the raw ratio lets λ respond within 150 steps.",
    )

    sharp: float = _shape(
        "valleys", 40.0, 1, 150, 1, "curvature, left", "Second derivative h₁ in the left valley."
    )
    flat: float = _shape(
        "valleys",
        1.0,
        0.2,
        40,
        0.2,
        "curvature, right",
        "Second derivative h₂ in the right valley.",
    )
    distance: float = _shape(
        "valleys", 3.0, 1.5, 5, 0.1, "distance", "How far the two bottoms are from each other."
    )
    depth: float = _shape(
        "valleys",
        0.0,
        -1,
        1,
        0.05,
        "head start of the left",
        "How much lower the loss is at the bottom of the left valley: what a flat minimum may "
        "cost.",
    )
    steep: float = _shape(
        "bowl", 20.0, 0.5, 100, 0.5, "curvature along x", "Second derivative h₁ at the bottom."
    )
    shallow: float = _shape(
        "bowl", 1.0, 0.1, 100, 0.1, "curvature along y", "Second derivative h₂ at the bottom."
    )
    walls: float = _shape(
        "bowl", 0.0, 0, 50, 0.5, "walls", "Weight w of the quartic term; 0 is a pure parabola."
    )
    bend: float = _shape(
        "ravine", 10.0, 1, 100, 1, "steepness of the walls", "Factor b in front of the wall."
    )
    bowl: float = _shape(
        "ripples", 1.0, 0.1, 10, 0.1, "curvature of the bowl", "Second derivative h of the bowl."
    )
    height: float = _shape(
        "ripples", 0.15, 0, 1, 0.01, "height of the ripples", "Amplitude a; 0 is a plain bowl."
    )
    length: float = _shape(
        "ripples", 0.8, 0.3, 2, 0.05, "length of the ripples", "Distance ℓ from dent to dent."
    )

    @model_validator(mode="before")
    @classmethod
    def _start_of_the_loss(cls, values: dict[str, Any]) -> dict[str, Any]:
        info = LANDSCAPES.get(str(values.get("landscape", "valleys")))
        return (dict(zip("xy", info.start, strict=True)) if info else {}) | values

    @field_validator("optimizers")
    @classmethod
    def _known_optimizers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in OPTIMIZERS:
                raise ValueError(
                    f"optimizers holds {name!r}, but it must be one of: {', '.join(OPTIMIZERS)}; "
                    "choose one of these."
                )
        return tuple(name for name in OPTIMIZERS if name in names)

    def uses(self, name: str) -> bool:
        """Whether an optimizer has the setting; all descend side by side."""
        return any(name in info.hyperparameters for info in OPTIMIZERS.values())

    @property
    def start(self) -> tuple[float, float]:
        """Where all optimizers start."""
        return self.x, self.y

    @property
    def shape(self) -> dict[str, float]:
        """The numbers in the formula of the loss."""
        known = settings_of(type(self))
        return {n: v for n, v in self.effective.items() if known[n].group == "shape"}

    @property
    def effective(self) -> dict[str, Any]:
        """The values that have an effect under the chosen loss and λ rule, ready for JSON."""
        return {name: value for name, value in self.model_dump().items() if self.applies(name)}
