"""λ rules: their formulas by hand, their edges, their constants."""

import math

import pytest
import torch

from samar.optim.catalog import RULES
from samar.optim.rules import (
    RULE_TYPES,
    Additive,
    DeadBand,
    Fixed,
    Power,
    Share,
    Trend,
    TrendPower,
    build_rule,
)
from samar.optim.validation import CONSTANTS

every_rule = pytest.mark.parametrize("name", RULES)
by_ratio = pytest.mark.parametrize("name", [n for n, r in RULE_TYPES.items() if not r.needs_loss])


def _update(rule, lam, ratio, share=0.3):
    values = (torch.tensor(value, dtype=torch.float64) for value in (lam, ratio, share))
    updated = rule.update(*values)
    assert updated.dim() == 0
    return updated.item()


@pytest.mark.parametrize("rule", [DeadBand(0.25, 1.5, 1.2), Trend(0.25, 1.5, 1.2, memory=7.0)])
@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1e-300, 2.0 / 1.2),
        (math.nextafter(0.75, 0.0), 2.0 / 1.2),
        (0.75, 2.0),
        (1.0, 2.0),
        (1.25, 2.0),
        (math.nextafter(1.25, 2.0), 3.0),
        (1e300, 3.0),
    ],
)
def test_dead_band(rule, ratio, expected):
    assert _update(rule, 2.0, ratio) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("rule", "ratio", "expected"),
    [
        (TrendPower(gain=0.5, memory=7.0), 0.25, 1.0),
        (TrendPower(gain=0.0), 3.0, 2.0),
        (Power(gamma=1.0), 3.0, 6.0),
        (Power(gamma=0.5), 0.25, 1.0),
        (Power(gamma=0.0), 3.0, 2.0),
        (Additive(delta=0.5), 1.001, 2.5),
        (Additive(delta=0.5), 0.999, 1.5),
        (Additive(delta=0.5), 1.0, 2.0),
        (Fixed(), 3.0, 2.0),
        (Share(scale=3.0), 7.0, 0.9),
        (Share(scale=0.0), 7.0, 0.0),
    ],
)
def test_the_other_formulas(rule, ratio, expected):
    assert _update(rule, 2.0, ratio) == pytest.approx(expected, rel=1e-15)


@by_ratio
def test_a_ratio_above_one_never_lowers_lambda_and_one_below_never_raises_it(name):
    rule = build_rule(name)
    for ratio in (1.01, 1.5, 10.0):
        assert _update(rule, 2.0, ratio) >= 2.0
        assert _update(rule, 2.0, 1.0 / ratio) <= 2.0


@pytest.mark.parametrize(
    ("name", "constant"), [(n, c) for n, info in RULES.items() for c in info.constants]
)
def test_constants_are_checked(name, constant):
    info = CONSTANTS[constant]
    for good in (info.low, info.high):
        assert getattr(build_rule(name, **{constant: good}), constant) == good
    for bad in (info.low - 0.01, info.high + 1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"{name}\.{constant} must be finite and between"):
            build_rule(name, **{constant: bad})
    with pytest.raises(TypeError, match=rf"{name}\.{constant} must be a number, got '1'; pass"):
        build_rule(name, **{constant: "1"})


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown λ rule 'magic'; choose one of share, dead_band"):
        build_rule("magic")
    with pytest.raises(ValueError, match="'power' has no constant tau; it takes gamma"):
        build_rule("power", tau=0.1)
    with pytest.raises(ValueError, match="'fixed' has no constant tau; it takes none"):
        build_rule("fixed", tau=0.1)
