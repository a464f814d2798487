"""ReLU within the convolution before it, and sums and ReLUs in place: fewer trips through memory.

On a CPU, oneDNN's convolution applies bias and ReLU while the result is still in the cache; it is
the operation that ``torch.compile`` uses too, called here without a compiler and its slow start.
Once BatchNorm is folded (:mod:`samar.landscape.folding`), convolution and ReLU are neighbours.
Elsewhere, on GPUs and in float64, the network stays as it is.

oneDNN's ReLU turns NaN into 0, which would show a plain where a network has overflowed. So
:class:`~samar.landscape.folding.FoldedNetwork` looks at a few images with the plain network first.
"""

import copy
import operator
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

RELU = (F.relu, torch.relu)


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


def fuse_relu(plain: fx.GraphModule) -> tuple[fx.GraphModule, int]:
    """A network over the same weights, for inference only, and how many ReLUs are gone in it."""
    if not _available():
        return plain, 0
    traced = fx.GraphModule(plain, copy.deepcopy(plain.graph))
    modules: Mapping[str, nn.Module] = dict(traced.named_modules())
    fused = 0
    for node in list(traced.graph.nodes):
        if not _is_relu(node, modules):
            continue
        before = node.args[0]
        if not isinstance(before, fx.Node) or len(before.users) > 1:
            continue
        convolution = _convolution(before, modules)
        if convolution is not None:
            name = f"fused_{fused}"
            traced.add_module(name, ConvReLU(convolution))
            before.target = name
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
            fused += 1
        elif before.op == "call_function" and before.target is operator.add:
            node.op, node.target, node.kwargs = "call_function", F.relu, {"inplace": True}
            left = before.args[0]
            if (
                isinstance(left, fx.Node)
                and len(left.users) == 1
                and _convolution(left, modules) is not None
            ):
                before.target = operator.iadd
    traced.graph.lint()
    traced.recompile()
    return (traced, fused) if fused else (plain, 0)


def _available() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(
        torch.ops.mkldnn, "_convolution_pointwise"
    )


def _is_relu(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return isinstance(modules[str(node.target)], nn.ReLU)
    return node.op == "call_function" and node.target in RELU


def _convolution(node: fx.Node, modules: Mapping[str, nn.Module]) -> nn.Conv2d | None:
    """The plain convolution on the CPU that a node calls, if it calls one."""
    found = modules.get(str(node.target)) if node.op == "call_module" else None
    if (
        isinstance(found, nn.Conv2d)
        and found.weight.device.type == "cpu"
        and found.weight.dtype in (torch.float32, torch.bfloat16)
        and not isinstance(found.padding, str)
        and found.padding_mode == "zeros"
    ):
        return found
    return None
