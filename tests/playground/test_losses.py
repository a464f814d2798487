"""Values by hand; gradients and Hessians against automatic differentiation of the formula."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from samar.playground.losses import build_loss
from samar.playground.settings import PlaygroundSettings

POINTS = [(-1.35, 0.3), (-1.09, 0.02), (0.7, -1.2), (1.5, 0.0), (-2.9, 1.9)]


def valleys(p: Tensor) -> Tensor:
    left = 20.0 * ((p[0] + 1.5) ** 2 + p[1] ** 2)
    right = 0.75 * ((p[0] - 1.5) ** 2 + p[1] ** 2) + 0.25
    return -0.1 * torch.logsumexp(torch.stack([-left / 0.1, -right / 0.1]), 0)


def bowl(p: Tensor) -> Tensor:
    return 0.5 * (4 * p[0] ** 2 + p[1] ** 2) + 0.5 * (p[0] ** 4 + p[1] ** 4)


def ravine(p: Tensor) -> Tensor:
    return ((1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2) / 5


def ripples(p: Tensor) -> Tensor:
    return 0.5 * (p**2).sum() + 0.15 * (1 - torch.cos(2 * math.pi * p / 0.8)).sum()


CASES = [
    pytest.param("valleys", {"flat": 1.5, "depth": 0.25}, valleys, id="valleys"),
    pytest.param("bowl", {"steep": 4.0, "shallow": 1.0, "walls": 2.0}, bowl, id="bowl"),
    pytest.param("ravine", {}, ravine, id="ravine"),
    pytest.param("ripples", {}, ripples, id="ripples"),
]


@pytest.mark.parametrize(("name", "shape", "formula"), CASES)
def test_value_and_derivatives(
    name: str, shape: dict[str, float], formula: Callable[[Tensor], Tensor]
) -> None:
    loss = build_loss(PlaygroundSettings(landscape=name, **shape))
    for x, y in POINTS:
        point = torch.tensor([x, y], dtype=torch.float64, requires_grad=True)
        value = formula(point)
        (gradient,) = torch.autograd.grad(value, point)
        hessian = torch.autograd.functional.hessian(formula, point.detach())
        assert loss.value(x, y) == pytest.approx(value.item(), rel=1e-12, abs=1e-12)
        assert loss.gradient(x, y) == pytest.approx(gradient.tolist(), rel=1e-9, abs=1e-9)
        xx, xy, yy = (float(v) for v in loss.hessian(x, y))
        expected = [hessian[0, 0].item(), hessian[0, 1].item(), hessian[1, 1].item()]
        assert [xx, xy, yy] == pytest.approx(expected, rel=1e-8, abs=1e-8)
        eigenvalues = np.linalg.eigvalsh(hessian.numpy())[::-1]
        assert loss.curvatures(x, y) == pytest.approx(eigenvalues.tolist(), rel=1e-8, abs=1e-8)


def test_the_bottoms_have_the_curvatures_asked_for() -> None:
    loss = build_loss(PlaygroundSettings(sharp=60.0, flat=2.0, depth=0.3))
    sharp, flat = loss.minima
    assert (sharp.name, flat.name) == ("sharp", "flat")
    assert loss.curvatures(sharp.x, sharp.y) == pytest.approx((60.0, 60.0))
    assert loss.curvatures(flat.x, flat.y) == pytest.approx((2.0, 2.0))
    assert loss.value(flat.x, flat.y) - loss.value(sharp.x, sharp.y) == pytest.approx(0.3)
    assert [loss.valley(x, 0.0).name for x in (-1.6, -1.2, -1.0, 2.0)] == ["sharp"] * 2 + [
        "flat"
    ] * 2


def test_a_dent_is_found_at_its_bottom() -> None:
    loss = build_loss(PlaygroundSettings(landscape="ripples"))
    dent = loss.valley(-0.7, 0.75)
    assert dent.name == "side dent"
    assert loss.gradient(dent.x, dent.y) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert loss.valley(0.1, -0.2).name == "middle dent"
