"""The torch-free catalog agrees with the code it describes."""

import doctest
import inspect
import subprocess
import sys
from dataclasses import fields
from importlib import import_module

import pytest
import torch
from torch import nn

from samar.optim.catalog import OPTIMIZERS, RULES
from samar.optim.factory import build_optimizer
from samar.optim.rules import RULE_TYPES, build_rule
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.two_pass import TwoPassOptimizer
from samar.optim.validation import CONSTANTS
from samar.optim.vasso import VaSSO
from tests.optim.steps import EveryNth


def test_the_catalogue_and_the_settings_do_not_import_torch():
    code = "import sys, samar.optim.catalog; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rules_agree_with_their_classes():
    assert list(RULES) == list(RULE_TYPES)
    for name, info in RULES.items():
        rule = build_rule(name)
        constants = {field.name: field.default for field in fields(rule)}
        assert constants == {key: CONSTANTS[key].default for key in info.constants}
        assert info.name == name == rule.name
        for constant in map(CONSTANTS.__getitem__, info.constants):
            assert constant.low <= constant.default <= constant.high
            assert constant.help.endswith(".")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_agree_with_their_classes(name):
    info = OPTIMIZERS[name]
    built = build_optimizer(name, nn.Linear(2, 2), lr=0.1)
    kind = type(built)
    known = {"sgd": torch.optim.SGD, "sam": SAM, "vasso": VaSSO, "samar": SAMAR}
    assert kind is known[name] if name in known else issubclass(kind, TwoPassOptimizer)
    assert info.name == name
    calls = []
    built.step(lambda: calls.append(1) or _loss(built))
    assert len(calls) == info.gradients_per_step
    ours = set(inspect.signature(kind).parameters) - {"params", "base", "model", "base_kwargs"}
    assert name == "sgd" or ours <= set(info.hyperparameters)
    with pytest.raises(TypeError, match="there is no argument 'colour'; choose momentum"):
        build_optimizer(name, nn.Linear(2, 2), lr=0.1, colour="red")


def _loss(optimizer):
    loss = optimizer.param_groups[0]["params"][0].square().sum()
    loss.backward()
    return loss


def test_the_factory_passes_on_what_applies():
    rule = build_rule("power", gamma=0.5)
    options = {
        "rho": 0.3,
        "adaptive": True,
        "theta": 0.4,
        "rule": rule,
        "lam": 0.6,
        "lam_min": 0.5,
        "lam_max": 0.7,
        "beta": 0.8,
        "sharpness": "first_order",
        "second_pass": EveryNth(3),
    }
    sgd = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.01, "nesterov": True}
    model = nn.Linear(2, 2)
    for name in OPTIMIZERS:
        optimizer = build_optimizer(name, model, **sgd, **options)
        group = optimizer.param_groups[0]
        assert {key: group[key] for key in sgd} == sgd
        in_group = {"rho", "adaptive", "theta"} & set(OPTIMIZERS[name].hyperparameters)
        assert {key for key in ("rho", "adaptive", "theta") if key in group} == in_group
        assert all(group[key] == options[key] for key in in_group)
        if name != "sgd":
            assert optimizer.model is model
            assert optimizer.second_pass == EveryNth(3)
    optimizer = build_optimizer("samar", model, **sgd, **options)
    assert optimizer.rule is rule
    assert (optimizer.lam_min, optimizer.lam_max, optimizer.beta) == (0.5, 0.7, 0.8)
    assert optimizer.sharpness_form == "first_order"
    assert float(optimizer.lam) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "module",
    ["optim.batchnorm", "optim.rules", "optim.sam", "optim.second_pass", "device.randomness"],
)
def test_docstring_examples(module):
    result = doctest.testmod(import_module(f"samar.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
