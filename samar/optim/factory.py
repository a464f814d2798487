"""Build any registered optimizer from plain values, as a run's config holds them."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import SGD, Optimizer

from samar.optim.catalog import MOMENTUM, OPTIMIZERS
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.vasso import VaSSO

BASE = ("momentum", "weight_decay", "nesterov")
_TWO_PASS: dict[str, Callable[..., Optimizer]] = {"sam": SAM, "vasso": VaSSO, "samar": SAMAR}


def build_optimizer(name: str, model: nn.Module, *, lr: float, **settings: Any) -> Optimizer:
    """Build an optimizer of `catalog.OPTIMIZERS` over torch's SGD for all parameters of a model.

    Args:
        name: "sgd", "sam", "vasso" or "samar".
        model: Its BatchNorm statistics will move in the first pass only.
        lr: Learning rate of SGD.
        **settings: `momentum`, `weight_decay` and `nesterov` of `torch.optim.SGD`, and arguments of
            `SAM`, `VaSSO` and `SAMAR`; those that `OptimizerInfo.hyperparameters` does not list
            are ignored.

    Raises:
        ValueError: If the name is unknown, or an argument that applies is out of range.
        TypeError: If there is no such argument.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    known = {each for info in OPTIMIZERS.values() for each in info.hyperparameters}
    for each in settings:
        if each not in known and each not in BASE:
            raise TypeError(f"there is no argument {each!r}; choose {', '.join((*BASE, *known))}")
    base = {"momentum": MOMENTUM} | {n: settings[n] for n in BASE if n in settings}
    if name == "sgd":
        return SGD(model.parameters(), lr=lr, **base)
    own = {n: settings[n] for n in OPTIMIZERS[name].hyperparameters if n in settings}
    return _TWO_PASS[name](model.parameters(), SGD, model=model, lr=lr, **own, **base)
