"""J v of convolutions by two reverse passes, against PyTorch's own, in float64."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from samar.curvature.convolution import Linearized

CASES: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1d": (F.conv1d, (3, 4, 9), (6, 4, 3), {"padding": 1}),
    "2d": (F.conv2d, (3, 4, 6, 7), (6, 4, 3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    "2d, in groups": (F.conv2d, (3, 4, 7, 7), (6, 2, 3, 3), {"groups": 2, "dilation": 2}),
    "3d": (F.conv3d, (2, 2, 4, 4, 4), (3, 2, 2, 2, 2), {"stride": 2}),
    "left to PyTorch": (F.conv2d, (3, 4, 6, 6), (6, 4, 3, 3), {"padding": "same"}),
}


@pytest.mark.parametrize("fixed", [(), (0,), (1,), (0, 1), (2,)])
@pytest.mark.parametrize("name", CASES)
def test_the_derivative_along_the_slope_alone(name: str, fixed: tuple[int, ...]) -> None:
    """Jᵀu, differentiated along u at u = 0, is J v; and Jᵀ itself is as always."""
    convolve, x, weight, options = CASES[name]
    leaves = [torch.randn(s, dtype=torch.float64) for s in (x, weight, weight[:1])]
    for place, leaf in enumerate(leaves):
        leaf.requires_grad_(place not in fixed)
    free = [leaf for leaf in leaves if leaf.requires_grad]

    def function(*values: Tensor) -> Tensor:
        given = iter(values)
        return convolve(
            *(next(given) if leaf.requires_grad else leaf for leaf in leaves), **options
        )

    tangents = tuple(torch.randn_like(leaf) for leaf in free)
    _, expected = torch.autograd.functional.jvp(function, tuple(free), tangents)
    with Linearized():
        value = function(*free)
        zero = torch.zeros_like(value, requires_grad=True)
        pulled = torch.autograd.grad(value, free, zero, create_graph=True)
    (found,) = torch.autograd.grad(pulled, zero, tangents, retain_graph=True)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    u = torch.randn_like(value)
    plain = torch.autograd.grad(function(*free), free, u)
    torch.testing.assert_close(torch.autograd.grad(value, free, u), plain, rtol=0, atol=0)
