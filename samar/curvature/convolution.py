r"""Convolutions of which J v is taken by two reverse passes: only what is asked for is computed.

Jᵀu is linear in u, and its derivative along v is J v. For y = W ∗ x the reverse pass gives

    x̄ = Wᵀ ∗ ȳ    W̄ = x ⋆ ȳ        and of these, along ẋ and Ẇ:    ẏ = W ∗ ẋ + Ẇ ∗ x

PyTorch's own derivative of x̄ and W̄ also computes those along x and W, whether or not they are
asked for, and x̄ and W̄ themselves, which are zero at u = 0.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

_CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}


class Geometry(NamedTuple):
    """How a convolution moves over its input."""

    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """W ∗ x + b."""
        zero = [0] * len(self.stride)
        found: Tensor = torch.ops.aten.convolution(
            x, weight, bias, self.stride, self.padding, self.dilation, False, zero, self.groups
        )
        return found

    def transposed(
        self, slope: Tensor, x: Tensor, weight: Tensor, *, wanted: tuple[bool, bool, bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of x, W and b for that of the output, those that are wanted."""
        found: tuple[Tensor | None, Tensor | None, Tensor | None] = (
            torch.ops.aten.convolution_backward(
                *(slope, x, weight, [weight.shape[0]] if wanted[2] else None),
                *(self.stride, self.padding, self.dilation, False, [0] * len(self.stride)),
                *(self.groups, list(wanted)),
            )
        )
        return found


class Linearized(TorchFunctionMode):
    """In the block convolutions are recorded so that Jᵀu, taken at u = 0, is differentiated along
    u; loss and gradient are the same as without, bit for bit."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Called for every operation."""
        if func in _CONVOLUTIONS:
            known = _arguments(_CONVOLUTIONS[func], *args, **(kwargs or {}))
            if known is not None:
                return _Convolution.apply(*known)
        return func(*args, **(kwargs or {}))


def _arguments(
    dimensions: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor | None, Geometry] | None:
    """What a convolution was called with; None for a form that is left to PyTorch."""
    if isinstance(padding, str) or input.dim() != dimensions + 2 or input.dtype != weight.dtype:
        return None
    stride, padding, dilation = (
        [way] * dimensions if isinstance(way, int) else list(way)
        for way in (stride, padding, dilation)
    )
    return input, weight, bias, Geometry(stride, padding, dilation, groups)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, way: Geometry) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.way = way
        return way.apply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if not torch.is_grad_enabled():
            return *ctx.way.transposed(slope, x, weight, wanted=wanted), None
        return *_Gradient.apply(slope, x.detach(), weight.detach(), ctx.way, wanted), None


class _Gradient(torch.autograd.Function):
    """x̄, W̄ and b̄ at ȳ = 0, all of whose values are zero."""

    @staticmethod
    def forward(
        ctx: Any,
        slope: Tensor,
        x: Tensor,
        weight: Tensor,
        way: Geometry,
        wanted: tuple[bool, bool, bool],
    ) -> tuple[Tensor | None, ...]:
        ctx.set_materialize_grads(False)
        ctx.way, ctx.shape = way, slope.shape
        ctx.save_for_backward(x, weight)
        shapes = zip((x.shape, weight.shape, weight.shape[:1]), wanted, strict=True)
        zero = slope.new_zeros(())
        return tuple(zero.expand(shape) if asked else None for shape, asked in shapes)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, of_x: Tensor | None, of_weight: Tensor | None, of_bias: Tensor | None
    ) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        parts = []
        if of_x is not None:
            parts.append(ctx.way.apply(of_x, weight))
        if of_weight is not None:
            parts.append(ctx.way.apply(x, of_weight, of_bias))
        elif of_bias is not None:
            parts.append(of_bias.view(-1, *[1] * (len(ctx.shape) - 2)).expand(ctx.shape))
        return sum(parts[1:], start=parts[0]) if parts else None, None, None, None, None
