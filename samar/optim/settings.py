"""The settings that each optimizer brings, one class each, mixed flat into those of a training run.

Importing this does not import torch. A setting says itself under which optimizer and λ rule it has
an effect.
"""

from collections.abc import Callable
from typing import Any

from pydantic import model_validator
from typing_extensions import Self

from samar.optim.catalog import (
    BETA,
    FORMER_TITLES,
    LAM,
    LAM_MAX,
    LAM_MIN,
    MOMENTUM,
    OPTIMIZERS,
    RHO,
    RULES,
    THETA,
)
from samar.settings.declare import Settings, setting, titles


def _used(name: str) -> Callable[[Any], bool]:
    return lambda s: name in OPTIMIZERS[s.optimizer].hyperparameters


def _moving(s: Any) -> bool:
    return _used("rule")(s) and s.rule != "fixed"


def _constant(name: str, label: str) -> Any:
    """A λ rule's constant: bounds, default and help are the rule catalogue's."""
    info = next(rule.constants[name] for rule in RULES.values() if name in rule.constants)
    return setting(
        info.default,
        info.help,
        group="rule",
        label=label,
        live=True,
        when=lambda s: _used("rule")(s) and name in RULES[s.rule].constants,
        ge=info.low,
        le=info.high,
    )


class SGDSettings(Settings):
    """The base optimizer's."""

    lr: float = setting(
        0.05,
        "Learning rate η at the start of the schedule.",
        group="essentials",
        label="learning rate η",
        live=True,
        log=True,
        usual=(0.01, 0.2),
        gt=0,
        le=10,
    )
    momentum: float = setting(
        MOMENTUM, "Momentum of SGD, the base optimizer.", group="base", ge=0, lt=1
    )
    nesterov: bool = setting(False, "Nesterov's form of momentum.", group="base")
    weight_decay: float = setting(
        5e-4,
        "L2 penalty, added in the base step at the restored weights.",
        group="base",
        log=True,
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0; raise momentum or switch it off.")
        return self


class PerturbationSettings(Settings):
    """SAM's, which VaSSO and SAMAR share."""

    rho: float = setting(
        RHO,
        "Radius ρ of the ball in which the sharpest direction is sought; 0 switches it off.",
        group="essentials",
        label="radius ρ",
        live=True,
        log=True,
        usual=(0.02, 0.5),
        when=_used("rho"),
        ge=0,
        le=5,
    )
    adaptive: bool = setting(
        False,
        "Scale the perturbation by the size of each weight (ASAM).",
        group="sharpness",
        label="adaptive perturbation (ASAM)",
        when=_used("adaptive"),
    )


class VaSSOSettings(Settings):
    """VaSSO's own."""

    theta: float = setting(
        THETA,
        "VaSSO's weight θ of the newest gradient in the perturbation; 1 is SAM.",
        group="sharpness",
        label="VaSSO θ",
        live=True,
        when=_used("theta"),
        gt=0,
        le=1,
    )


class SAMARSettings(Settings):
    """SAMAR's own: the λ rule with its constants, λ and its bounds, how sharpness is measured."""

    rule: str = setting(
        "trend_power",
        "How the sharpness ratio moves λ. The ratio and its direction are the paper's; "
        "it gives no formula in what we could read, so this one is ours.",
        group="essentials",
        label="λ rule",
        choices=titles(RULES),
        former=FORMER_TITLES,
        when=_used("rule"),
    )
    sharpness: str = setting(
        "exact",
        "How sharpness is measured: the loss difference, or its first-order form.",
        group="sharpness",
        choices=lambda: {"exact": "loss difference", "first_order": "first order"},
        when=_moving,
    )
    beta: float = setting(
        BETA,
        "Averaging β of the sharpness before the ratio is taken; 0 is the raw ratio.",
        group="sharpness",
        label="averaging β",
        when=_moving,
        ge=0,
        lt=1,
    )
    lam: float = setting(
        LAM,
        "λ at the start: 0 is the base optimizer, 1 is SAM.",
        group="rule",
        label="λ at the start",
        live=True,
        when=_used("rule"),
        ge=0,
        le=20,
    )
    lam_held: float | None = setting(
        None,
        "Holds λ at this value: 0 is the base optimizer, 1 is SAM. Empty lets it follow the rule.",
        group="rule",
        label="λ held at",
        live=True,
        when=_used("rule"),
        ge=0,
        le=20,
    )
    lam_min: float = setting(
        LAM_MIN,
        "λ never falls below this.",
        group="rule",
        label="λ floor",
        live=True,
        when=_moving,
        ge=0,
        le=20,
    )
    lam_max: float = setting(
        LAM_MAX,
        "λ never rises above this.",
        group="rule",
        label="λ ceiling",
        live=True,
        when=_moving,
        ge=0,
        le=20,
    )
    tau: float = _constant("tau", "dead band τ")
    up: float = _constant("up", "raise factor")
    down: float = _constant("down", "lower factor")
    memory: float = _constant("memory", "trend memory")
    gain: float = _constant("gain", "trend gain κ")
    gamma: float = _constant("gamma", "power γ")
    delta: float = _constant("delta", "additive δ")

    @property
    def rule_constants(self) -> dict[str, float]:
        """The constants that the chosen λ rule has."""
        return {name: getattr(self, name) for name in RULES[self.rule].constants}

    @property
    def lam_bounds(self) -> tuple[float, float]:
        """Floor and ceiling of λ; a fixed λ is its own bound."""
        return (self.lam, self.lam) if self.rule == "fixed" else (self.lam_min, self.lam_max)

    @model_validator(mode="after")
    def _lam_within_bounds(self) -> Self:
        if self.lam_min > self.lam_max:
            raise ValueError(
                f"The λ floor {self.lam_min:g} is above the λ ceiling {self.lam_max:g}; "
                "lower lam-min or raise lam-max."
            )
        if self.rule != "fixed" and not self.lam_min <= self.lam <= self.lam_max:
            raise ValueError(
                f"λ starts at {self.lam:g}, outside its bounds {self.lam_min:g} to "
                f"{self.lam_max:g}; move lam inside them or widen lam-min and lam-max."
            )
        return self
