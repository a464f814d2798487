"""The network that measures the points of a landscape: BatchNorm folded, ReLU fused.

BatchNorm is folded into the convolutions (:mod:`samar.models.folding`); W' and b' are computed anew
at every point. Convolution, sum and ReLU are then neighbours, and on a CPU oneDNN's convolution
applies bias, sum and ReLU while the result is still in the cache. It is the operation that
``torch.compile`` uses too, called here without a compiler and its slow start. Elsewhere, on GPUs
and in float64, nothing is fused.

oneDNN's ReLU turns NaN into 0, which would show a plain where a network has overflowed. So
:meth:`FoldedNetwork.fitting` looks at a few images with the plain network first.
"""

import copy
import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from samar.data.objective import Objective, tensors_in
from samar.device.placement import is_gpu
from samar.device.precision import DTYPES, fuses_convolutions
from samar.device.waiting import on_host
from samar.models.build import layout_for
from samar.models.folding import folded, is_hooked, without_batchnorm

ALMOST_OVERFLOW = 1e25
"""Logits from here on say that float32, which ends at 3e38, may have overflowed on the way."""
RELU = (F.relu, torch.relu)
SUM = (operator.add, torch.add)
FUSED_DTYPES = tuple(dtype or torch.float32 for dtype in DTYPES.values())


class FoldedNetwork:
    """A network with folded BatchNorm beside the one whose weights it takes.

    Args:
        source: in eval mode; :meth:`load` reads its parameters and buffers as they are then.
        dtype: number format of the folded network's weights, its own if None.
        traced: whether a traced network may stand in for it; else it is a plain copy.

    Attributes:
        network: the folded network, or a plain copy where the source cannot be traced.
        folded: how many BatchNorm layers are gone.
        fused: how many ReLUs are gone into convolutions.
    """

    def __init__(
        self, source: nn.Module, dtype: torch.dtype | None = None, *, traced: bool = True
    ) -> None:
        self.network: nn.Module
        self.network, pairs = (
            without_batchnorm(source) if traced else (copy.deepcopy(source).eval(), [])
        )
        self.folded = len(pairs)
        find: Callable[[str], Any] = source.get_submodule
        self._folds: list[tuple[Any, Any, Any]] = [
            (self.network.get_submodule(c), find(c), find(norm)) for c, norm in pairs
        ]
        self.network.to(dtype=dtype)
        if (layout := layout_for(source)) is not None:
            self.network.to(memory_format=layout)  # type: ignore[call-overload]
        self.network.requires_grad_(False)
        own = {id(p) for target, _, _ in self._folds for p in target.parameters()}
        theirs = dict(source.named_parameters()) | dict(source.named_buffers())
        mine = [*self.network.named_parameters(), *self.network.named_buffers()]
        self._copies = [(t, theirs[name]) for name, t in mine if id(t) not in own]
        self.fused = 0
        self._plain = self.network
        if isinstance(self.network, fx.GraphModule):
            self.network, self.fused = fuse_relu(self.network)

    @torch.no_grad()
    def load(self) -> None:
        """Take over the source's weights and statistics."""
        for target, convolution, norm in self._folds:
            weight, bias = folded(convolution, norm)
            target.weight.copy_(weight)
            target.bias.copy_(bias)
        for target, tensor in self._copies:
            target.copy_(tensor)

    def fitting(self, probe: Objective) -> nn.Module:
        """The network to use at the weights loaded: the quick one unless numbers overflow.

        Args:
            probe: a few images, on which the plain network is asked.
        """
        if self.network is self._plain:
            return self.network
        largest: list[Tensor] = []

        def watched(*inputs: Any, **named: Any) -> Any:
            outputs = self._plain(*inputs, **named)
            largest.extend(each.detach().float().abs().max() for each in tensors_in(outputs))
            return outputs

        probe.sums(watched)
        fits = on_host((torch.stack(largest) < ALMOST_OVERFLOW).all()).item()
        return self.network if fits else self._plain


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
