"""Sharpness-aware optimizers: SAM, VaSSO and SAMAR around any torch base optimizer.

The catalog is imported at once and needs no torch; everything else is imported on first use, so
that a page can show its choices before torch is loaded.
"""

from typing import TYPE_CHECKING

from samar.lazy import lazily
from samar.optim.catalog import (
    OPTIMIZERS,
    RULES,
    ConstantInfo,
    OptimizerInfo,
    RuleInfo,
)

if TYPE_CHECKING:
    from samar.optim.batchnorm import frozen_batchnorm
    from samar.optim.factory import build_optimizer
    from samar.optim.rng import capture_rng, replayed_rng
    from samar.optim.rules import (
        Additive,
        DeadBand,
        Fixed,
        LambdaRule,
        Power,
        Trend,
        TrendPower,
        build_rule,
    )
    from samar.optim.sam import SAM
    from samar.optim.samar import SAMAR
    from samar.optim.two_pass import TwoPassOptimizer
    from samar.optim.vasso import VaSSO

__all__ = [
    "OPTIMIZERS",
    "RULES",
    "SAM",
    "SAMAR",
    "Additive",
    "ConstantInfo",
    "DeadBand",
    "Fixed",
    "LambdaRule",
    "OptimizerInfo",
    "Power",
    "RuleInfo",
    "Trend",
    "TrendPower",
    "TwoPassOptimizer",
    "VaSSO",
    "build_optimizer",
    "build_rule",
    "capture_rng",
    "frozen_batchnorm",
    "replayed_rng",
]

_HOMES = {
    "SAM": "sam",
    "SAMAR": "samar",
    "VaSSO": "vasso",
    "TwoPassOptimizer": "two_pass",
    "build_optimizer": "factory",
    "frozen_batchnorm": "batchnorm",
    "capture_rng": "rng",
    "replayed_rng": "rng",
    **dict.fromkeys(
        (
            "Additive",
            "DeadBand",
            "Fixed",
            "LambdaRule",
            "Power",
            "Trend",
            "TrendPower",
            "build_rule",
        ),
        "rules",
    ),
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
