r"""BatchNorm folded into the convolution before it: the same function in fewer passes.

With fixed statistics, y = γ (W x + b − μ) / √(σ² + ε) + β is itself a convolution,

    W' = W γ / √(σ² + ε),    b' = (b − μ) γ / √(σ² + ε) + β,

exactly. A network is traced once; W' and b' are computed anew from the weights of the moment, which
costs nothing beside a forward pass. A BatchNorm whose input is no convolution or linear layer, or
is used elsewhere too, stays as it is. So does one whose convolution has weights that are used or
computed elsewhere (tied, parametrized, pruned), or a hook.

Reference:
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference", CVPR 2018, section 3.2, arXiv 1712.05877.
"""

import copy
from collections.abc import Callable
from contextlib import suppress
from inspect import Parameter, signature
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from samar.device.precision import exact, has_float64

FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
BATCHNORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Pair = tuple[str, str]
"""Names of a convolution and of the BatchNorm that is folded into it."""


def without_batchnorm(source: nn.Module) -> tuple[nn.Module, list[Pair]]:
    """A copy of a network in eval mode without the BatchNorm layers that can be folded.

    Each convolution that takes one over has a bias; its weights are still those of the source.

    Returns:
        The copy, a plain one where the network cannot be traced, and what is folded into what.
    """
    duplicate = copy.deepcopy(source).eval()
    # A network with branches that depend on its input has no trace; any error may come.
    with suppress(Exception):
        if is_hooked(source) or _has_options(source) or _is_tied(source):
            return duplicate, []  # a trace loses these
        traced = fx.symbolic_trace(duplicate)
        pairs = _take_out_batchnorm(traced)
        for convolution, _ in pairs:
            target: Any = traced.get_submodule(convolution)
            if target.bias is None:
                target.bias = nn.Parameter(target.weight.new_zeros(len(target.weight)))
        return traced, pairs
    return duplicate, []


def folded(
    convolution: Any, norm: Any, widened: Callable[[Tensor], Tensor] = exact
) -> tuple[Tensor, Tensor]:
    """W' and b', by default in float64, so that each is rounded once.

    Args:
        widened: what the weights are computed in; :func:`exact` leaves a device without float64.
    """
    weight = widened(convolution.weight)
    scale = torch.rsqrt(widened(norm.running_var) + norm.eps)
    shift = -widened(norm.running_mean) * scale
    if convolution.bias is not None:
        shift = shift + widened(convolution.bias) * scale
    if norm.affine:
        factor = widened(norm.weight)
        scale, shift = scale * factor, shift * factor + widened(norm.bias)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift


class Folding(nn.Module):
    """A network's function with BatchNorm folded at every call, to be differentiated.

    Its parameters are those of the source, under ``source.``; put others in and the fold follows.

    Args:
        source: in eval mode.

    Attributes:
        pairs: what is folded into what; empty where nothing is.
    """

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.source = source
        traced, self.pairs = without_batchnorm(source)
        self._traced: nn.Module
        vars(self)["_traced"] = traced  # no module of this one: it has no weights of its own
        mine = {**dict(traced.named_parameters()), **dict(traced.named_buffers())}
        theirs = {**dict(source.named_parameters()), **dict(source.named_buffers())}
        self._shared = [name for name in mine if name in theirs]

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the source gives, up to rounding."""
        own: dict[str, Any] = {**dict(self.source.named_parameters())}
        own |= dict(self.source.named_buffers())
        weights = {name: own[name] for name in self._shared}
        for convolution, norm in self.pairs:
            held, find = own[f"{convolution}.weight"], self.source.get_submodule
            dtype = held.dtype
            widened = exact if has_float64(held.device) else Tensor.clone
            weight, bias = folded(find(convolution), find(norm), widened)
            weights[f"{convolution}.weight"] = weight.to(dtype)
            weights[f"{convolution}.bias"] = bias.to(dtype)
        return functional_call(self._traced, weights, inputs, named)


def is_hooked(module: nn.Module) -> bool:
    """Whether something besides its own code is called with it."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _has_options(module: nn.Module) -> bool:
    """Whether it may be called in several ways, of which a trace would show one."""
    positional = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD
    inputs = signature(module.forward).parameters.values()
    return any(p.default is not Parameter.empty or p.kind not in positional for p in inputs)


def _is_tied(module: nn.Module) -> bool:
    """Whether two of its layers share a weight."""
    held = [id(p) for each in module.modules() for p in each._parameters.values() if p is not None]
    return len(set(held)) < len(held)


def _take_out_batchnorm(traced: fx.GraphModule) -> list[Pair]:
    """Remove what can be folded from the graph."""
    modules = dict(traced.named_modules())
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    fetched = [str(node.target) for node in traced.graph.nodes if node.op == "get_attr"]
    alone = {  # layers called once, whose weights are used nowhere else, with their types
        name: type(modules[name])
        for name in modules
        if calls.count(name) == 1
        and not is_hooked(modules[name])
        and not any(each.rpartition(".")[0] == name for each in fetched)
    }
    pairs = []
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or alone.get(node.target) not in BATCHNORM:
            continue
        before = node.args[0]
        if (
            isinstance(before, fx.Node)
            and modules[node.target].running_mean is not None
            and before.op == "call_module"
            and alone.get(str(before.target)) in FOLDABLE
            and len(before.users) == 1
        ):
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
            pairs.append((str(before.target), str(node.target)))
    traced.graph.lint()
    traced.recompile()
    traced.delete_all_unused_submodules()
    return pairs
