"""The optimizers, λ rules and policies of the second gradient, with all their settings.

Each is declared here once, without torch: forms, options, links, colours, forecasts and documents
are made from these declarations. A constant of a rule or a policy is a setting, so that its
default, bounds and help stand in one place; `samar.optim.rules` and `samar.optim.second_pass` read
them here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import model_validator
from typing_extensions import Self

from samar.settings.declare import Settings, setting, settings_of, titles

MOMENTUM = 0.9
RHO = 0.1
ASAM_RHO = 0.5
THETA = 0.9
LAM, LAM_MIN, LAM_MAX = 1.0, 0.1, 20.0
BETA = 0.9
RULE = "trend_power"
"""Defaults of the classes, of the settings and of the command line."""


@dataclass(frozen=True)
class RuleInfo:
    """The declaration of a λ rule.

    Attributes:
        formula: LaTeX for λ_{k+1} before clipping.
        constants: names of the settings below that are its constants.
    """

    name: str
    title: str
    help: str
    formula: str
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class SecondPassInfo:
    """The declaration of a policy of the second gradient.

    Attributes:
        constants: names of the settings below that are its constants.
        needs_lam: whether it decides by λ, so that only SAMAR can have it.
    """

    name: str
    title: str
    help: str
    constants: tuple[str, ...] = ()
    needs_lam: bool = False


RULES: dict[str, RuleInfo] = {
    info.name: info
    for info in (
        RuleInfo(
            name="share",
            title="Share of the worst case",
            help="λ is a multiple of the share of the worst-case loss that is sharpness: small "
            "while there is much to learn, and growing when the loss falls faster than the "
            "sharpness, late in training or when wrong labels are learnt by heart.",
            formula=r"\lambda_{k+1} = c\,\frac{\bar s_k}{\bar f_k + \bar s_k}",
            constants=("scale",),
        ),
        RuleInfo(
            name="dead_band",
            title="Dead band",
            help="λ takes one step up or down when the ratio clearly leaves 1, else it stays.",
            formula=r"\lambda_{k+1} = \begin{cases}"
            r"\lambda_k\,\gamma_\uparrow & r_k > 1+\tau \\"
            r"\lambda_k/\gamma_\downarrow & r_k < 1-\tau \\"
            r"\lambda_k & \text{else}\end{cases}",
            constants=("tau", "up", "down"),
        ),
        RuleInfo(
            name="trend",
            title="Trend, dead band",
            help="The dead band, with the sharpness compared to its own slow average instead of "
            "the previous step, so that a lasting rise is seen through mini-batch noise.",
            formula=r"\begin{gathered}\lambda_{k+1} = \begin{cases}"
            r"\lambda_k\,\gamma_\uparrow & s_k/\bar s_{k-1} > 1+\tau \\"
            r"\lambda_k/\gamma_\downarrow & s_k/\bar s_{k-1} < 1-\tau \\"
            r"\lambda_k & \text{else}\end{cases} \\[4pt]"
            r"\bar s_k = \bar s_{k-1} + \tfrac{1}{M}(s_k - \bar s_{k-1})\end{gathered}",
            constants=("tau", "up", "down", "memory"),
        ),
        RuleInfo(
            name="trend_power",
            title="Trend, power law",
            help="λ is multiplied by a small power of the ratio of the sharpness to its own slow "
            "average. So it grows as long as the sharpness grows, and mini-batch noise moves it "
            "nowhere.",
            formula=r"\begin{gathered}\lambda_{k+1} = \lambda_k "
            r"\left(\frac{s_k}{\bar s_{k-1}}\right)^{\nu} \\[4pt] \bar s_k = \bar s_{k-1} + "
            r"\tfrac{1}{\min(k,M)}(s_k - \bar s_{k-1})\end{gathered}",
            constants=("gain", "memory"),
        ),
        RuleInfo(
            name="power",
            title="Power",
            help="λ is multiplied by a power of the ratio, so that between the bounds it is "
            "proportional to that power of the sharpness.",
            formula=r"\lambda_{k+1} = \lambda_k\, r_k^{\gamma}",
            constants=("gamma",),
        ),
        RuleInfo(
            name="additive",
            title="Additive",
            help="λ takes one step of fixed size in the direction of the ratio, at every step.",
            formula=r"\lambda_{k+1} = \lambda_k + \delta\,\operatorname{sign}(r_k - 1)",
            constants=("delta",),
        ),
        RuleInfo(
            name="fixed",
            title="Fixed",
            help="λ stays what it is: 0 is the base optimizer, 1 is SAM, above 1 is stronger.",
            formula=r"\lambda_{k+1} = \lambda_k",
        ),
    )
}

SECOND_PASSES: dict[str, SecondPassInfo] = {
    info.name: info
    for info in (
        SecondPassInfo(
            "always",
            "At every step",
            "Two gradients a step, as SAM, VaSSO and SAMAR are published.",
        ),
        SecondPassInfo(
            "late",
            "Late in training",
            "Only after a share of the training (Zhou et al. 2025).",
            constants=("begin",),
        ),
        SecondPassInfo(
            "threshold",
            "Where the gradient is long (AE-SAM)",
            "Where the squared gradient norm is above its running mean plus c deviations (Jiang "
            "et al. 2023).",
            constants=("spread_first", "spread_last"),
        ),
        SecondPassInfo(
            "dither",
            "With chance λ",
            "λ says how often the second gradient is taken, not how much of it: the same "
            "direction on average, at a lower price.",
            constants=("strength", "longest"),
            needs_lam=True,
        ),
    )
}


def _used(name: str) -> Callable[[Any], bool]:
    return lambda settings: settings.uses(name)


def _moving(settings: Any) -> bool:
    return bool(settings.uses("rule") and settings.rule != "fixed")


def _constant(name: str, default: float, low: float, high: float, label: str, help: str) -> Any:
    """A constant of the λ rules or policies that name it."""
    of_rule = any(name in rule.constants for rule in RULES.values())
    return setting(
        default,
        help,
        group="rule" if of_rule else "second",
        label=label,
        live=True,
        when=lambda s: name in (s.rule_constants if of_rule else s.second_pass_constants),
        ge=low,
        le=high,
    )


class _Part(Settings):
    """Settings of an optimizer, mixed flat with those of the others."""

    def uses(self, name: str) -> bool:
        """Whether the chosen optimizer has a setting besides those of SGD."""
        return name in self.declared.hyperparameters

    @property
    def declared(self) -> "OptimizerInfo":
        """The declaration of the chosen optimizer."""
        return OPTIMIZERS[getattr(self, "optimizer")]  # noqa: B009 - of the class it is mixed into


class SGDSettings(_Part):
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


class PerturbationSettings(_Part):
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


class SecondPassSettings(_Part):
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
    begin: float = _constant(
        "begin", 0.7, 0.0, 1, "begins after", "Share of the training before the first one."
    )
    spread_first: float = _constant(
        "spread_first", 1.0, -10.0, 10, "deviations at the start", "Deviations c at the start."
    )
    spread_last: float = _constant(
        "spread_last", -1.0, -10.0, 10, "deviations at the end", "Deviations c at the end."
    )
    strength: float = _constant(
        "strength",
        3.0,
        0.05,
        20,
        "strength w",
        "What a second gradient weighs; the chance is λ over it.",
    )
    longest: float = _constant(
        "longest", 20.0, 1.0, 1e5, "longest gap", "Most steps from one second gradient to the next."
    )

    @property
    def second_pass_name(self) -> str:
        """The policy, with ``auto`` resolved."""
        fixed = getattr(self, "rule", "") == "fixed"  # so that a fixed λ of 1 is SAM
        usual = "always" if fixed else self.declared.second_pass
        return usual if self.second_pass == "auto" else self.second_pass

    @property
    def second_pass_constants(self) -> dict[str, float]:
        """The constants that the policy has; none for an optimizer of one gradient a step."""
        if not self.uses("second_pass"):
            return {}
        constants = SECOND_PASSES[self.second_pass_name].constants
        return {name: getattr(self, name) for name in constants}

    @model_validator(mode="after")
    def _second_pass_suits(self) -> Self:
        policy = SECOND_PASSES.get(self.second_pass)
        if policy and policy.needs_lam and self.uses("second_pass") and not self.uses("rule"):
            able = [info.title for info in OPTIMIZERS.values() if "rule" in info.hyperparameters]
            raise ValueError(
                f"second-pass {self.second_pass} goes by λ, which only {' and '.join(able)} "
                "has; choose another, or that optimizer."
            )
        return self


class VaSSOSettings(_Part):
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


class SAMARSettings(_Part):
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
    scale: float = _constant("scale", 3.0, 0.0, 100, "scale c", "Scale c.")
    tau: float = _constant(
        "tau",
        0.1,
        0.0,
        0.99,
        "dead band τ",
        "Half-width of the dead band around 1 in which λ stays.",
    )
    up: float = _constant(
        "up",
        1.05,
        1.0,
        10,
        "raise factor",
        "Factor by which λ rises when the ratio is above the band.",
    )
    down: float = _constant(
        "down",
        1.02,
        1.0,
        10,
        "lower factor",
        "Divisor by which λ falls when the ratio is below the band.",
    )
    memory: float = _constant(
        "memory", 100.0, 1.0, 1e5, "trend memory", "Steps M over which the trend averages."
    )
    gain: float = _constant("gain", 0.4, 0.0, 10, "trend gain ν", "Exponent ν; 0 keeps λ as it is.")
    gamma: float = _constant("gamma", 1.0, 0.0, 10, "power γ", "Exponent γ; 0 keeps λ as it is.")
    delta: float = _constant("delta", 0.01, 0.0, 10, "additive δ", "Size δ of a step.")

    @property
    def rule_constants(self) -> dict[str, float]:
        """The constants that the chosen λ rule has; none for an optimizer without λ."""
        if not self.uses("rule"):
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


class OptimizerSettings(
    SAMARSettings, VaSSOSettings, SecondPassSettings, PerturbationSettings, SGDSettings
):
    """The settings of all optimizers, flat; those of the last base come first."""


@dataclass(frozen=True)
class OptimizerInfo:
    """The declaration of an optimizer.

    Attributes:
        name: The key used by `build_optimizer` and in a run's config.
        title: What a person reads.
        help: One or two sentences on what it does.
        formula: LaTeX for its direction.
        home: Module and class.
        color, dash, symbol: How it looks in every figure. The colour has a contrast of at least 3
            to 1 on light and on dark, and stands in ``chartCategoricalColors`` too.
        settings: Parts of `OptimizerSettings` that apply besides SGD's.
        gradients_per_step: Most forward-backward passes of a step, the fair unit of cost; a policy
            of the second gradient may leave one out.
        extra_copies: Of the weights in memory, beside themselves, their gradient and the momentum.
        second_pass: The policy of the second gradient that ``auto`` is.
        splits: Whether each of several processes may perturb along its own gradient.
    """

    name: str
    title: str
    help: str
    formula: str
    home: str
    color: str
    dash: str
    symbol: str
    settings: tuple[type[Settings], ...] = ()
    gradients_per_step: int = 2
    extra_copies: int = 1
    second_pass: str = "always"
    splits: bool = True

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Names of the settings that apply besides SGD's."""
        return tuple(name for part in self.settings for name in settings_of(part))


OPTIMIZERS: dict[str, OptimizerInfo] = {
    info.name: info
    for info in (
        OptimizerInfo(
            "sgd",
            "SGD",
            "Stochastic gradient descent with momentum: the baseline, one gradient a step.",
            r"d_k=\nabla f(x_k)",
            "torch.optim:SGD",
            color="#CC79A7",
            dash="dot",
            symbol="square",
            gradients_per_step=1,
            extra_copies=0,
        ),
        OptimizerInfo(
            "sam",
            "SAM",
            "Descends along the gradient taken ρ uphill of the weights, so that sharp minima "
            "lose their pull (Foret et al. 2021).",
            r"d_k=\nabla f\left(x_k+\rho\,g_k/\lVert g_k\rVert\right)",
            "samar.optim.sam:SAM",
            color="#0072B2",
            dash="dash",
            symbol="triangle-up",
            settings=(PerturbationSettings, SecondPassSettings),
        ),
        OptimizerInfo(
            "vasso",
            "VaSSO",
            "SAM whose uphill direction is an exponential average of the gradients, which "
            "tames mini-batch noise (Li & Giannakis 2023).",
            r"d_k=\nabla f\left(x_k+\rho\,m_k/\lVert m_k\rVert\right),\qquad "
            r"m_k=(1-\theta)\,m_{k-1}+\theta\,g_k",
            "samar.optim.vasso:VaSSO",
            color="#009E73",
            dash="dashdot",
            symbol="cross",
            settings=(PerturbationSettings, VaSSOSettings, SecondPassSettings),
            extra_copies=2,
            splits=False,
        ),
        OptimizerInfo(
            "samar",
            "SAMAR",
            "Mixes the plain and the uphill gradient with a weight λ that follows the ratio "
            "of successive sharpness values (Zou, Deng & Sun 2024), and takes the uphill gradient "
            "only as often as λ says.",
            r"d_k=(1-\lambda_k)\,g_k+"
            r"\lambda_k\,\nabla f\left(x_k+\rho\,g_k/\lVert g_k\rVert\right)",
            "samar.optim.samar:SAMAR",
            color="#D55E00",
            dash="solid",
            symbol="diamond",
            settings=(PerturbationSettings, SAMARSettings, SecondPassSettings),
            extra_copies=2,
            second_pass="dither",
        ),
    )
}


def dead_band_of(rule: str, tau: float) -> tuple[float, float] | None:
    """The ratios between which a λ rule leaves λ as it is; None without such a band."""
    banded = rule in RULES and "tau" in RULES[rule].constants
    return (1 - tau, 1 + tau) if banded else None
