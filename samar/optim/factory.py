"""Build any declared optimizer from plain values or settings, and change it while it trains."""

from collections.abc import Mapping
from inspect import signature
from pkgutil import resolve_name
from typing import Any

from torch import nn
from torch.optim import SGD, Optimizer

from samar.optim.catalog import MOMENTUM, OPTIMIZERS, OptimizerSettings
from samar.optim.rules import build_rule
from samar.optim.samar import SAMAR
from samar.optim.second_pass import SecondPass, build_second_pass
from samar.optim.two_pass import TwoPassOptimizer
from samar.settings.declare import settings_of

BASE = ("momentum", "weight_decay", "nesterov")


def build_optimizer(name: str, model: nn.Module, *, lr: float, **settings: Any) -> Optimizer:
    """Build an optimizer of `catalog.OPTIMIZERS` over torch's SGD for all parameters of a model.

    Args:
        name: "sgd", "sam", "vasso" or "samar".
        model: Its BatchNorm statistics will move in the first pass only.
        lr: Learning rate of SGD.
        **settings: `momentum`, `weight_decay` and `nesterov` of `torch.optim.SGD`, and arguments of
            `SAM`, `VaSSO` and `SAMAR`; those that the optimizer does not have are ignored.

    Raises:
        ValueError: If the name is unknown, or an argument that applies is out of range.
        TypeError: If there is no such argument.
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    known = [*BASE, *dict.fromkeys(arg for other in OPTIMIZERS for arg in _arguments(other))]
    for argument in settings:
        if argument not in known:
            raise TypeError(f"there is no argument {argument!r}; choose {', '.join(known)}")
    base = {"momentum": MOMENTUM} | {n: settings[n] for n in BASE if n in settings}
    kind = resolve_name(OPTIMIZERS[name].home)
    if kind is SGD:
        return SGD(model.parameters(), lr=lr, **base)
    chosen = {n: settings[n] for n in _arguments(name) if n in settings}
    optimizer: Optimizer = kind(model.parameters(), SGD, model=model, lr=lr, **chosen, **base)
    return optimizer


def optimizer_of(settings: OptimizerSettings, model: nn.Module, name: str) -> Optimizer:
    """Build an optimizer as settings describe it; one with λ held, if they say so."""
    values = {n: getattr(settings, n) for n in settings_of(OptimizerSettings)}
    lam_min, lam_max = settings.lam_bounds
    values |= {"lam_min": lam_min, "lam_max": lam_max, "second_pass": policy_of(settings)}
    values["rule"] = build_rule(settings.rule, **settings.rule_constants)
    arguments = {*BASE, "lr", *_arguments(name)}
    optimizer = build_optimizer(
        name, model, **{n: value for n, value in values.items() if n in arguments}
    )
    if isinstance(optimizer, SAMAR):
        optimizer.hold(settings.lam_held)
    return optimizer


def policy_of(settings: OptimizerSettings) -> SecondPass:
    """The policy of the second gradient that settings describe."""
    return build_second_pass(settings.second_pass_name, **settings.second_pass_constants)


def change_optimizer(
    optimizer: Optimizer, settings: OptimizerSettings, values: Mapping[str, Any]
) -> None:
    """Let an optimizer go on under settings some of which were changed.

    Args:
        settings: those that hold from now on.
        values: those that were changed.
    """
    for group in optimizer.param_groups:
        group.update({name: values[name] for name in values.keys() & group.keys() - {"lr"}})
    if isinstance(optimizer, TwoPassOptimizer) and optimizer.second_pass != policy_of(settings):
        optimizer.second_pass = policy_of(settings)
    if isinstance(optimizer, SAMAR):
        optimizer.rule = build_rule(settings.rule, **settings.rule_constants)
        optimizer.set_bounds(*settings.lam_bounds)
        if optimizer.held != settings.lam_held:
            optimizer.hold(settings.lam_held)
        if "lam" in values:
            optimizer.set_bounds(settings.lam, settings.lam)
            optimizer.set_bounds(*settings.lam_bounds)


def _arguments(name: str) -> list[str]:
    """Arguments of an optimizer's class that are settings of its own."""
    kind = resolve_name(OPTIMIZERS[name].home)
    taken = {"params", "base", "model", "base_kwargs"}
    return [] if kind is SGD else [n for n in signature(kind).parameters if n not in taken]
