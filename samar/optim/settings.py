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
    LAM,
    LAM_MAX,
    LAM_MIN,
    MOMENTUM,
    OPTIMIZERS,
    RHO,
    RULE,
    RULES,
    SECOND_PASSES,
    THETA,
    USUAL_SECOND_PASS,
    constant_info,
)
from samar.settings.declare import Settings, setting, titles


def _used(name: str) -> Callable[[Any], bool]:
    return lambda s: name in OPTIMIZERS[s.optimizer].hyperparameters


def _moving(s: Any) -> bool:
    return _used("rule")(s) and s.rule != "fixed"


def _constant(name: str, label: str) -> Any:
    """A constant of a λ rule or of a policy: bounds, default and help are the catalogue's."""
    info = constant_info(name)
    of_rule = any(name in rule.constants for rule in RULES.values())

    def applies(s: Any) -> bool:
        return name in (s.rule_constants if of_rule else s.second_pass_constants)

    return setting(
        info.default,
        info.help,
        group="rule" if of_rule else "second",
        label=label,
        live=True,
        when=applies,
        ge=info.low,
        le=info.high,
    )


class SGDSettings(Settings):
    """The base optimizer's."""

    lr: float = setting(
        0.05,
        "Learning rate η, which the schedule scales.",
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


class SecondPassSettings(Settings):
    """When the second gradient is taken, which SAM, VaSSO and SAMAR share."""

    second_pass: str = setting(
        "auto",
        "When the second gradient is taken, which doubles the price of a step; auto is every step "
        "for SAM, VaSSO and a fixed λ, and with chance λ for SAMAR.",
        group="second",
        label="second gradient",
        live=True,
        choices=titles({"auto": "auto"} | SECOND_PASSES),
        when=_used("second_pass"),
    )
    begin: float = _constant("begin", "begins after")
    spread_first: float = _constant("spread_first", "deviations at the start")
    spread_last: float = _constant("spread_last", "deviations at the end")
    strength: float = _constant("strength", "strength w")
    longest: float = _constant("longest", "longest gap")

    @property
    def second_pass_name(self) -> str:
        """The policy, with ``auto`` resolved."""
        optimizer = str(getattr(self, "optimizer"))  # noqa: B009 - of the class this is mixed into
        usual = USUAL_SECOND_PASS.get(optimizer, "always")
        if getattr(self, "rule", "") == "fixed":  # so that a fixed λ of 1 is SAM
            usual = "always"
        return usual if self.second_pass == "auto" else self.second_pass

    @property
    def second_pass_constants(self) -> dict[str, float]:
        """The constants that the policy has; none for an optimizer of one gradient a step."""
        if not _used("second_pass")(self):
            return {}
        constants = SECOND_PASSES[self.second_pass_name].constants
        return {name: getattr(self, name) for name in constants}

    @model_validator(mode="after")
    def _second_pass_suits(self) -> Self:
        used = _used("second_pass")(self)
        if (
            used
            and self.second_pass != "auto"
            and SECOND_PASSES[self.second_pass_name].needs_lam
            and not _used("rule")(self)
        ):
            titles = [OPTIMIZERS[name].title for name in USUAL_SECOND_PASS]
            raise ValueError(
                f"second-pass {self.second_pass} goes by λ, which only {' and '.join(titles)} "
                "has; choose another, or that optimizer."
            )
        return self


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
        RULE,
        "How the measured sharpness moves λ. The ratio and its direction are the paper's; "
        "it gives no formula in what we could read, so this one is ours.",
        group="essentials",
        label="λ rule",
        choices=titles(RULES),
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
        "λ at the start, or where it is changed: 0 is the base optimizer, 1 is SAM.",
        group="rule",
        label="λ at the start",
        live=True,
        when=_used("rule"),
        ge=0,
        le=20,
    )
    lam_held: float | None = setting(
        None,
        "Holds λ at this value: 0 is the base optimizer, 1 is SAM. Without one it follows the "
        "rule.",
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
    scale: float = _constant("scale", "scale c")
    tau: float = _constant("tau", "dead band τ")
    up: float = _constant("up", "raise factor")
    down: float = _constant("down", "lower factor")
    memory: float = _constant("memory", "trend memory")
    gain: float = _constant("gain", "trend gain ν")
    gamma: float = _constant("gamma", "power γ")
    delta: float = _constant("delta", "additive δ")

    @property
    def rule_constants(self) -> dict[str, float]:
        """The constants that the chosen λ rule has; none for an optimizer without λ."""
        if not _used("rule")(self):
            return {}
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
