"""ReLU, and the sum of a residual block, within the convolution before: fewer trips through memory.

On a CPU, oneDNN's convolution applies bias, sum and ReLU while the result is still in the cache; it
is the operation that ``torch.compile`` uses too, called here without a compiler and its slow start.
Once BatchNorm is folded (:mod:`samar.models.folding`), convolution, sum and ReLU are
neighbours. Elsewhere, on GPUs and in float64, the network stays as it is.

oneDNN's ReLU turns NaN into 0, which would show a plain where a network has overflowed. So
:class:`~samar.landscapes.folding.FoldedNetwork` looks at a few images with the plain network first.
"""

import copy
import operator
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from samar.device.placement import is_gpu
from samar.device.precision import DTYPES, fuses_convolutions
from samar.models.folding import is_hooked

RELU = (F.relu, torch.relu)
SUM = (operator.add, torch.add)
FUSED_DTYPES = tuple(dtype or torch.float32 for dtype in DTYPES.values())


class ConvReLU(nn.Module):
    """A convolution of two dimensions with its ReLU, over the same weights."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) as the convolution does, then drop what is negative."""
        c = self.convolution
        settings = (c.padding, c.stride, c.dilation, c.groups)
        output: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, c.weight, c.bias, *settings, "relu", [], ""
        )
        return output


class ConvAddReLU(ConvReLU):
    """The same with another tensor added before the ReLU."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:  # type: ignore[override]
        """Map (n, c, h, w) as the convolution does, add, then drop what is negative."""
        c = self.convolution
        if other.dtype != x.dtype or other.shape != _shape(c, x):  # oneDNN does not broadcast
            return F.relu(c(x) + other)
        settings = (c.padding, c.stride, c.dilation, c.groups)
        output: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
            x, other, c.weight, c.bias, *settings, "add", 1.0, "relu", [], ""
        )
        return output


def _shape(convolution: nn.Conv2d, x: Tensor) -> tuple[int, ...]:
    """Of what a convolution makes of x (n, c, h, w)."""
    c = convolution
    assert not isinstance(c.padding, str)
    each = zip(x.shape[2:], c.kernel_size, c.padding, c.stride, c.dilation, strict=True)
    sizes = ((h + 2 * p - d * (k - 1) - 1) // s + 1 for h, k, p, s, d in each)
    return (len(x), c.out_channels, *sizes)


def fuse_relu(plain: fx.GraphModule) -> tuple[fx.GraphModule, int]:
    """A network over the same weights, for inference only, and how many ReLUs are gone in it."""
    if not fuses_convolutions():
        return plain, 0
    traced = fx.GraphModule(plain, copy.deepcopy(plain.graph))
    modules: Mapping[str, nn.Module] = dict(traced.named_modules())
    fused = 0
    for node in list(traced.graph.nodes):
        before = node.args[0] if node.args and _is_relu(node, modules) else None
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        found = _sum_of(before, modules) or (before, ())
        convolution = _convolution(found[0], modules)
        if convolution is None:
            continue
        name = f"fused_{fused}"
        traced.add_module(name, (ConvAddReLU if found[1] else ConvReLU)(convolution))
        with traced.graph.inserting_before(node):
            call = traced.graph.call_module(name, (found[0].args[0], *found[1]))
        node.replace_all_uses_with(call)
        fused += 1
    traced.graph.eliminate_dead_code()
    traced.graph.lint()
    traced.recompile()
    return (traced, fused) if fused else (plain, 0)


def _sum_of(
    node: fx.Node, modules: Mapping[str, nn.Module]
) -> tuple[fx.Node, tuple[fx.Node]] | None:
    """The convolution in a sum of two tensors and the other tensor, where there is one."""
    if node.op != "call_function" or node.target not in SUM or node.kwargs:  # such as alpha=2
        return None
    for convolution, other in (node.args, node.args[::-1]):
        if (
            isinstance(convolution, fx.Node)
            and isinstance(other, fx.Node)
            and len(convolution.users) == 1
            and _convolution(convolution, modules) is not None
        ):
            return convolution, (other,)
    return None


def _is_relu(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        relu = modules[str(node.target)]
        return isinstance(relu, nn.ReLU) and not is_hooked(relu)
    return node.op == "call_function" and node.target in RELU


def _convolution(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Conv2d | None:
    """The plain convolution on the CPU that a node calls, if it calls one."""
    found = modules.get(str(node.target)) if node.op == "call_module" else None
    if (
        isinstance(found, nn.Conv2d)
        and not is_hooked(found)
        and len(node.args) == 1
        and not is_gpu(found.weight.device)
        and found.weight.dtype in FUSED_DTYPES
        and not isinstance(found.padding, str)
        and found.padding_mode == "zeros"
    ):
        return found
    return None
