"""Convolutions that are differentiated twice, against PyTorch's own, in float64."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from samar.curvature.convolution import SecondDerivatives

CASES: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1d": (F.conv1d, (3, 4, 9), (6, 4, 3), {"padding": 1}),
    "2d": (F.conv2d, (3, 4, 6, 7), (6, 4, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    "2d, in groups": (F.conv2d, (3, 4, 7, 7), (6, 2, 3, 3), {"groups": 2, "dilation": 2}),
    "3d": (F.conv3d, (2, 2, 4, 4, 4), (3, 2, 2, 2, 2), {"stride": 2}),
    "left to PyTorch": (F.conv2d, (3, 4, 6, 6), (6, 4, 3, 3), {"padding": "same"}),
}


def derivatives(
    convolve: Any, leaves: list[Tensor], options: dict[str, Any], again: list[Tensor]
) -> list[Tensor]:
    """Value, gradient, and gradient of ⟨gradient, again⟩, over what requires a gradient."""
    free = [leaf for leaf in leaves if leaf.requires_grad]
    value = convolve(*leaves, **options).sin().sum()
    gradient = torch.autograd.grad(value, free, create_graph=True)
    pairs = zip(gradient, again, strict=True)
    inner = torch.stack([(g * v).sum() for g, v in pairs]).sum()
    return [value, *gradient, *torch.autograd.grad(inner, free)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("fixed", [(), (0,), (1,), (0, 1), (2,)])
def test_equal_pytorch_s(name, fixed) -> None:
    convolve, x, weight, options = CASES[name]
    leaves = [torch.randn(s, dtype=torch.float64) for s in (x, weight, weight[:1])]
    for place, leaf in enumerate(leaves):
        leaf.requires_grad_(place not in fixed)
    again = [torch.randn_like(leaf) for leaf in leaves if leaf.requires_grad]
    expected = derivatives(convolve, leaves, options, again)
    with SecondDerivatives():
        found = derivatives(convolve, leaves, options, again)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_along_the_slope_alone(name) -> None:
    """Jᵀu, differentiated along u at u = 0, is J v; and Jᵀ itself is as always."""
    convolve, x, weight, options = CASES[name]
    leaves = [torch.randn(s, dtype=torch.float64).requires_grad_() for s in (x, weight, weight[:1])]
    tangents = tuple(torch.randn_like(leaf) for leaf in leaves)
    function = lambda *at: convolve(*at, **options)  # noqa: E731
    _, expected = torch.autograd.functional.jvp(function, tuple(leaves), tangents)
    with SecondDerivatives(linear=True):
        value = function(*leaves)
        zero = torch.zeros_like(value, requires_grad=True)
        pulled = torch.autograd.grad(value, leaves, zero, create_graph=True)
    (found,) = torch.autograd.grad(pulled, zero, tangents, retain_graph=True)
    torch.testing.assert_close(found, expected)
    u = torch.randn_like(value)
    plain = torch.autograd.grad(function(*leaves), leaves, u)
    torch.testing.assert_close(torch.autograd.grad(value, leaves, u), plain)
