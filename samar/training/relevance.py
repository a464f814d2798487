"""Which settings matter under the chosen optimizer and λ rule: faces hide the others."""

from samar.optim import OPTIMIZERS, RULES
from samar.training.config import RULE_CONSTANTS, TrainConfig


def applies(name: str, config: TrainConfig) -> bool:
    """Whether a setting has any effect under the chosen optimizer and λ rule."""
    uses = OPTIMIZERS[config.optimizer].hyperparameters
    if name in RULE_CONSTANTS:
        return "rule" in uses and name in RULES[config.rule].constants
    if name in ("rule", "lam"):
        return "rule" in uses
    if name in ("lam_min", "lam_max", "beta", "sharpness"):
        return "rule" in uses and config.rule != "fixed"
    if name in ("rho", "adaptive", "theta"):
        return name in uses
    return True
