"""What the playground is asked to do, as plain values that check themselves; torch-free."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from samar.errors import ConfigError
from samar.optim.catalog import OPTIMIZERS, RULES
from samar.playground.catalog import CONSTANTS, LANDSCAPES, SETTINGS, WHOLE, Knob


@dataclass(frozen=True)
class PlaygroundConfig:
    """One loss, one start and the settings of all optimizers.

    The λ rule starts as the dead band on the raw ratio, which moves λ within a hundred steps; what
    training runs start with is made for thousands.

    Attributes:
        landscape: A key of ``LANDSCAPES``.
        shape: Values of the loss' own knobs; those left out take their defaults.
        x, y: The start; the landscape's own where None.
        optimizers: Which of ``samar.optim.OPTIMIZERS`` descend.
        lr: Learning rate η.
        momentum: Of the base optimizer SGD.
        rho: Radius ρ.
        theta: VaSSO's θ.
        rule: A key of ``samar.optim.RULES``.
        constants: Of the rule; those left out take their defaults.
        lam: λ at the start.
        lam_min: Floor of λ.
        lam_max: Ceiling of λ.
        beta: Averaging β of the sharpness before the ratio is taken.
        noise: Standard deviation of each component of the gradient noise.
        seed: Of the noise.
        steps: How many each optimizer takes.

    Raises:
        ConfigError: One sentence about the first value that does not fit.

    Example:
        >>> PlaygroundConfig(rho=-1)
        Traceback (most recent call last):
        ...
        samar.errors.ConfigError: rho is -1, but it must be from 0 to 2; choose another value.
    """

    landscape: str = "valleys"
    shape: Mapping[str, float] = field(default_factory=dict)
    x: float | None = None
    y: float | None = None
    optimizers: tuple[str, ...] = tuple(OPTIMIZERS)
    lr: float = SETTINGS["lr"].default
    momentum: float = SETTINGS["momentum"].default
    rho: float = SETTINGS["rho"].default
    theta: float = SETTINGS["theta"].default
    rule: str = "dead_band"
    constants: Mapping[str, float] = field(default_factory=dict)
    lam: float = SETTINGS["lam"].default
    lam_min: float = SETTINGS["lam_min"].default
    lam_max: float = SETTINGS["lam_max"].default
    beta: float = SETTINGS["beta"].default
    noise: float = SETTINGS["noise"].default
    seed: int = int(SETTINGS["seed"].default)
    steps: int = int(SETTINGS["steps"].default)

    def __post_init__(self) -> None:
        self._require_choice("landscape", self.landscape, LANDSCAPES)
        self._require_choice("rule", self.rule, RULES)
        for name in self.optimizers:
            self._require_choice("optimizers", name, OPTIMIZERS)
        info = LANDSCAPES[self.landscape]
        for name, value in zip("xy", info.start, strict=True):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        own = {name: CONSTANTS[name] for name in RULES[self.rule].constants}
        for name, knobs in (("shape", info.shape), ("constants", own)):
            object.__setattr__(self, name, _complete(name, getattr(self, name), knobs))
        for name, knob in SETTINGS.items():
            _check(name, getattr(self, name), knob)
        if self.lam_min > self.lam_max:
            raise ConfigError(
                f"The λ floor {self.lam_min:g} is above the λ ceiling {self.lam_max:g}; "
                "lower the floor or raise the ceiling."
            )
        if not self.lam_min <= self.lam <= self.lam_max:
            raise ConfigError(
                f"λ starts at {self.lam:g}, outside its bounds {self.lam_min:g} to "
                f"{self.lam_max:g}; move it inside them or widen them."
            )

    @property
    def start(self) -> tuple[float, float]:
        """Where all optimizers start."""
        assert self.x is not None
        assert self.y is not None
        return float(self.x), float(self.y)

    def changed(self, **values: Any) -> "PlaygroundConfig":
        """A checked copy with some values replaced.

        Another landscape comes with its own shape and start, another rule with its own constants.
        """
        if values.get("rule", self.rule) != self.rule:
            values = {"constants": {}} | values
        if values.get("landscape", self.landscape) != self.landscape:
            values = {"shape": {}, "x": None, "y": None} | values
        return replace(self, **values)

    def values(self) -> dict[str, Any]:
        """Every value, ready for JSON."""
        return asdict(self)

    @staticmethod
    def _require_choice(name: str, value: object, known: Mapping[str, Any]) -> None:
        if value not in known:
            raise ConfigError(
                f"{name} holds {value!r}, but it must be one of: {', '.join(known)}; "
                "choose one of these."
            )


def _complete(
    what: str, given: Mapping[str, float], knobs: Mapping[str, Knob]
) -> Mapping[str, float]:
    if unknown := sorted(set(given) - set(knobs)):
        raise ConfigError(
            f"{what} has no value called {', '.join(unknown)}; it takes "
            f"{', '.join(knobs) or 'none'}."
        )
    values = {name: given.get(name, knob.default) for name, knob in knobs.items()}
    for name, knob in knobs.items():
        _check(name, values[name], knob)
    return values


def _check(name: str, value: object, knob: Knob) -> None:
    kinds = (int,) if name in WHOLE else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        kind = "whole number" if name in WHOLE else "number"
        raise ConfigError(f"{name} is {value!r}, but it must be a {kind}; choose another value.")
    if not (math.isfinite(value) and knob.low <= value <= knob.high):
        raise ConfigError(
            f"{name} is {value:g}, but it must be from {knob.low:g} to {knob.high:g}; "
            "choose another value."
        )
