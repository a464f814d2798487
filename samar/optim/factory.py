"""Build any registered optimizer from plain values, as a run's config holds them."""

from collections.abc import Callable
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, Optimizer

from samar.optim.catalog import OPTIMIZERS
from samar.optim.rules import LambdaRule
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.vasso import VaSSO

_TWO_PASS: dict[str, Callable[..., Optimizer]] = {"sam": SAM, "vasso": VaSSO, "samar": SAMAR}


def build_optimizer(
    name: str,
    model: nn.Module,
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    rho: float = 0.05,
    adaptive: bool = False,
    theta: float = 0.9,
    rule: LambdaRule | None = None,
    lam: float = 1.0,
    lam_min: float = 0.25,
    lam_max: float = 10.0,
    beta: float = 0.9,
    sharpness: Literal["exact", "first_order"] = "exact",
) -> Optimizer:
    """Build an optimizer of `catalog.OPTIMIZERS` over torch's SGD for all parameters of a model.

    Args:
        name: "sgd", "sam", "vasso" or "samar".
        model: Its BatchNorm statistics will move in the first pass only.
        lr: Learning rate of SGD, as are `momentum`, `weight_decay` and `nesterov`.
        momentum: See `torch.optim.SGD`.
        weight_decay: See `torch.optim.SGD`.
        nesterov: See `torch.optim.SGD`.
        rho: This and all that follow are arguments of `SAM`, `VaSSO` and `SAMAR`; those that
            `OptimizerInfo.hyperparameters` does not list are ignored.
        adaptive: See `SAM`.
        theta: See `VaSSO`.
        rule: See `SAMAR`.
        lam: See `SAMAR`.
        lam_min: See `SAMAR`.
        lam_max: See `SAMAR`.
        beta: See `SAMAR`.
        sharpness: See `SAMAR`.

    Raises:
        ValueError: If the name is unknown, or an argument that applies is out of range.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    sgd: dict[str, Any] = {
        "lr": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "nesterov": nesterov,
    }
    if name == "sgd":
        return SGD(model.parameters(), **sgd)
    offered = {
        "rho": rho,
        "adaptive": adaptive,
        "theta": theta,
        "rule": rule,
        "lam": lam,
        "lam_min": lam_min,
        "lam_max": lam_max,
        "beta": beta,
        "sharpness": sharpness,
    }
    chosen = {key: offered[key] for key in OPTIMIZERS[name].hyperparameters}
    return _TWO_PASS[name](model.parameters(), SGD, model=model, **chosen, **sgd)
