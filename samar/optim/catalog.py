"""What the package offers, as plain data: the optimizers, and the rules that move λ.

Nothing here imports torch, so a page can draw its controls before torch is loaded. A rule's
constants live here alone: `samar.optim.rules` validates against these ranges, and a test compares
the defaults.
"""

from dataclasses import dataclass

MOMENTUM = 0.9
RHO = 0.1
ASAM_RHO = 0.5
THETA = 0.9
LAM, LAM_MIN, LAM_MAX = 1.0, 0.1, 20.0
BETA = 0.9
RULE = "trend_power"
USUAL_SECOND_PASS = {"samar": "dither"}
"""Defaults, each at home here: of the classes, of the settings and of the command line."""


@dataclass(frozen=True)
class OptimizerInfo:
    """An optimizer as a chooser shows it.

    Attributes:
        name: The key used by `build_optimizer` and in a run's config.
        title: What a person reads.
        help: One or two sentences on what it does.
        gradients_per_step: Most forward-backward passes of a step, the fair unit of cost; a policy
            of the second gradient may leave one out.
        hyperparameters: Arguments of `build_optimizer` that apply besides SGD's own.
        extra_copies: Of the weights, kept beside them, their gradient and the momentum.
    """

    name: str
    title: str
    help: str
    gradients_per_step: int
    hyperparameters: tuple[str, ...]
    extra_copies: int = 0


@dataclass(frozen=True)
class ConstantInfo:
    """A number in a rule's formula: its default, the closed range allowed, and its meaning."""

    default: float
    low: float
    high: float
    help: str


@dataclass(frozen=True)
class SecondPassInfo:
    """A policy of the second gradient as a chooser shows it.

    Attributes:
        needs_lam: Whether it decides by λ, so that only SAMAR can have it.
    """

    name: str
    title: str
    help: str
    constants: dict[str, ConstantInfo]
    needs_lam: bool = False


@dataclass(frozen=True)
class RuleInfo:
    """A λ rule as a chooser shows it; `formula` is LaTeX for λ_{k+1} before clipping."""

    name: str
    title: str
    help: str
    formula: str
    constants: dict[str, ConstantInfo]


OPTIMIZERS: dict[str, OptimizerInfo] = {
    info.name: info
    for info in (
        OptimizerInfo(
            name="sgd",
            title="SGD",
            help="Stochastic gradient descent with momentum: the baseline, one gradient a step.",
            gradients_per_step=1,
            hyperparameters=(),
        ),
        OptimizerInfo(
            name="sam",
            title="SAM",
            help="Descends along the gradient taken ρ uphill of the weights, so that sharp minima "
            "lose their pull (Foret et al. 2021).",
            gradients_per_step=2,
            hyperparameters=("rho", "adaptive", "second_pass"),
            extra_copies=1,
        ),
        OptimizerInfo(
            name="vasso",
            title="VaSSO",
            help="SAM whose uphill direction is an exponential average of the gradients, which "
            "tames mini-batch noise (Li & Giannakis 2023).",
            gradients_per_step=2,
            hyperparameters=("rho", "adaptive", "theta", "second_pass"),
            extra_copies=2,
        ),
        OptimizerInfo(
            name="samar",
            title="SAMAR",
            help="Mixes the plain and the uphill gradient with a weight λ that follows the ratio "
            "of successive sharpness values (Zou, Deng & Sun 2024), and takes the uphill gradient "
            "only as often as λ says.",
            gradients_per_step=2,
            hyperparameters=(
                "rho",
                "adaptive",
                "rule",
                "lam",
                "lam_min",
                "lam_max",
                "beta",
                "sharpness",
                "second_pass",
            ),
            extra_copies=2,
        ),
    )
}

_TAU = ConstantInfo(0.1, 0.0, 0.99, "Half-width of the dead band around 1 in which λ stays.")
_UP = ConstantInfo(1.05, 1.0, 10.0, "Factor by which λ rises when the ratio is above the band.")
_DOWN = ConstantInfo(1.02, 1.0, 10.0, "Divisor by which λ falls when the ratio is below the band.")

_MEMORY = ConstantInfo(100.0, 1.0, 1e5, "Steps M over which the trend averages.")

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
            constants={"scale": ConstantInfo(3.0, 0.0, 100.0, "Scale c.")},
        ),
        RuleInfo(
            name="dead_band",
            title="Dead band",
            help="λ takes one step up or down when the ratio clearly leaves 1, else it stays.",
            formula=r"\lambda_{k+1} = \begin{cases}"
            r"\lambda_k\,\gamma_\uparrow & r_k > 1+\tau \\"
            r"\lambda_k/\gamma_\downarrow & r_k < 1-\tau \\"
            r"\lambda_k & \text{else}\end{cases}",
            constants={"tau": _TAU, "up": _UP, "down": _DOWN},
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
            constants={
                "tau": _TAU,
                "up": _UP,
                "down": _DOWN,
                "memory": _MEMORY,
            },
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
            constants={
                "gain": ConstantInfo(0.4, 0.0, 10.0, "Exponent ν; 0 keeps λ as it is."),
                "memory": _MEMORY,
            },
        ),
        RuleInfo(
            name="power",
            title="Power",
            help="λ is multiplied by a power of the ratio, so that between the bounds it is "
            "proportional to that power of the sharpness.",
            formula=r"\lambda_{k+1} = \lambda_k\, r_k^{\gamma}",
            constants={"gamma": ConstantInfo(1.0, 0.0, 10.0, "Exponent γ; 0 keeps λ as it is.")},
        ),
        RuleInfo(
            name="additive",
            title="Additive",
            help="λ takes one step of fixed size in the direction of the ratio, at every step.",
            formula=r"\lambda_{k+1} = \lambda_k + \delta\,\operatorname{sign}(r_k - 1)",
            constants={"delta": ConstantInfo(0.01, 0.0, 10.0, "Size δ of a step.")},
        ),
        RuleInfo(
            name="fixed",
            title="Fixed",
            help="λ stays what it is: 0 is the base optimizer, 1 is SAM, above 1 is stronger.",
            formula=r"\lambda_{k+1} = \lambda_k",
            constants={},
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
            {},
        ),
        SecondPassInfo(
            "late",
            "Late in training",
            "Only after a share of the training (Zhou et al. 2025).",
            {"begin": ConstantInfo(0.7, 0.0, 1.0, "Share of the training before the first one.")},
        ),
        SecondPassInfo(
            "threshold",
            "Where the gradient is long (AE-SAM)",
            "Where the squared gradient norm is above its running mean plus c deviations (Jiang "
            "et al. 2023).",
            {
                "spread_first": ConstantInfo(1.0, -10.0, 10.0, "Deviations c at the start."),
                "spread_last": ConstantInfo(-1.0, -10.0, 10.0, "Deviations c at the end."),
            },
        ),
        SecondPassInfo(
            "dither",
            "With chance λ",
            "λ says how often the second gradient is taken, not how much of it: the same "
            "direction on average, at a lower price.",
            {
                "strength": ConstantInfo(
                    3.0, 0.05, 20.0, "What a second gradient weighs; the chance is λ over it."
                ),
                "longest": ConstantInfo(
                    20.0, 1.0, 1e5, "Most steps from one second gradient to the next."
                ),
            },
            needs_lam=True,
        ),
    )
}


def default_of(constant: str) -> float:
    """The default of a constant of a λ rule, or of a policy of the second gradient."""
    return constant_info(constant).default


def constant_info(constant: str) -> ConstantInfo:
    """What the catalog says of a constant of a λ rule or of a policy of the second gradient."""
    known = [rule.constants for rule in RULES.values()]
    known += [policy.constants for policy in SECOND_PASSES.values()]
    return next(constants[constant] for constants in known if constant in constants)


def dead_band_of(rule: str, tau: float) -> tuple[float, float] | None:
    """Between which ratios a λ rule leaves λ as it is; None of one without such a band."""
    banded = rule in RULES and "tau" in RULES[rule].constants
    return (1 - tau, 1 + tau) if banded else None
