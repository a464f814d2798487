"""What the package offers, as plain data: the optimizers, and the rules that move λ.

Nothing here imports torch, so a page can draw its controls before torch is loaded. A rule's
constants live here alone: `samar.optim.rules` validates against these ranges, and a test compares
the defaults.
"""

from dataclasses import dataclass

MOMENTUM = 0.9
RHO = 0.2
THETA = 0.9
LAM, LAM_MIN, LAM_MAX = 1.0, 0.25, 10.0
BETA = 0.9
"""Defaults, each at home here: of the classes, of the settings and of the command line."""


@dataclass(frozen=True)
class OptimizerInfo:
    """An optimizer as a chooser shows it.

    Attributes:
        name: The key used by `build_optimizer` and in a run's config.
        title: What a person reads.
        help: One or two sentences on what it does.
        gradients_per_step: Forward-backward passes per step, the fair unit of cost.
        hyperparameters: Arguments of `build_optimizer` that apply besides SGD's own.
    """

    name: str
    title: str
    help: str
    gradients_per_step: int
    hyperparameters: tuple[str, ...]


@dataclass(frozen=True)
class ConstantInfo:
    """A number in a rule's formula: its default, the closed range allowed, and its meaning."""

    default: float
    low: float
    high: float
    help: str


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
            hyperparameters=("rho", "adaptive"),
        ),
        OptimizerInfo(
            name="vasso",
            title="VaSSO",
            help="SAM whose uphill direction is an exponential average of the gradients, which "
            "tames mini-batch noise (Li & Giannakis 2023).",
            gradients_per_step=2,
            hyperparameters=("rho", "adaptive", "theta"),
        ),
        OptimizerInfo(
            name="samar",
            title="SAMAR",
            help="Mixes the plain and the uphill gradient with a weight λ that follows the ratio "
            "of successive sharpness values (Zou, Deng & Sun 2024).",
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
            ),
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
            r"\left(\frac{s_k}{\bar s_{k-1}}\right)^{\kappa} \\[4pt] \bar s_k = \bar s_{k-1} + "
            r"\tfrac{1}{\min(k,M)}(s_k - \bar s_{k-1})\end{gathered}",
            constants={
                "gain": ConstantInfo(0.2, 0.0, 10.0, "Exponent κ; 0 keeps λ as it is."),
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

FORMER_TITLES = {"Power against the trend": "trend_power", "Dead band against the trend": "trend"}
"""Titles that rules had once, which old links hold."""


def default_of(constant: str) -> float:
    """The default of a λ rule's constant."""
    return next(
        rule.constants[constant].default for rule in RULES.values() if constant in rule.constants
    )
