r"""BatchNorm folded into the convolution before it: the same function in fewer passes.

With fixed statistics, y = γ (W x + b − μ) / √(σ² + ε) + β is itself a convolution,

    W' = W γ / √(σ² + ε),    b' = (b − μ) γ / √(σ² + ε) + β,

exactly. The network is traced once; at every point of a landscape W' and b' are computed anew from
the weights there, which costs nothing beside a forward pass. A BatchNorm whose input is no
convolution or linear layer, or is used elsewhere too, stays as it is.

Reference:
    Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
    Only Inference", CVPR 2018, section 3.2, arXiv 1712.05877.
"""

import copy
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, fx, nn

from samar.data.objective import Objective, tensors_in
from samar.device.placement import layout_of
from samar.device.precision import exact
from samar.device.waiting import on_host
from samar.landscapes.fusing import fuse_relu

FOLDABLE = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
ALMOST_OVERFLOW = 1e25
"""Logits from here on say that float32, which ends at 3e38, may have overflowed on the way."""
BATCHNORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


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
        duplicate = copy.deepcopy(source).eval()
        pairs: list[tuple[str, str]] = []
        self.network: nn.Module = duplicate
        if traced:
            # A network with branches that depend on its input has none; any error may come.
            with suppress(Exception):
                graph = fx.symbolic_trace(duplicate)
                pairs = _take_out_batchnorm(graph)
                self.network = graph
        self.folded = len(pairs)
        self._folds = []
        for convolution, norm in pairs:
            target: Any = self.network.get_submodule(convolution)
            if target.bias is None:
                target.bias = nn.Parameter(target.weight.new_zeros(len(target.weight)))
            self._folds.append(
                (target, source.get_submodule(convolution), source.get_submodule(norm))
            )
        self.network.to(dtype=dtype)
        layout = layout_of(next(iter(source.parameters())).device)
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
            weight, bias = _fold(convolution, norm)
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


def _fold(convolution: Any, norm: Any) -> tuple[Tensor, Tensor]:
    """W' and b' in float64, so that each is rounded once."""
    weight = exact(convolution.weight)
    scale = torch.rsqrt(exact(norm.running_var) + norm.eps)
    shift = -exact(norm.running_mean) * scale
    if convolution.bias is not None:
        shift = shift + exact(convolution.bias) * scale
    if norm.affine:
        factor = exact(norm.weight)
        scale, shift = scale * factor, shift * factor + exact(norm.bias)
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift


def _take_out_batchnorm(traced: fx.GraphModule) -> list[tuple[str, str]]:
    """Remove what can be folded from the graph; names of (convolution, BatchNorm)."""
    modules = dict(traced.named_modules())
    calls = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    pairs = []
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], BATCHNORM):
            continue
        before = node.args[0]
        if (
            isinstance(before, fx.Node)
            and modules[node.target].running_mean is not None
            and before.op == "call_module"
            and isinstance(modules[before.target], FOLDABLE)
            and len(before.users) == 1
            and calls.count(before.target) == calls.count(node.target) == 1
        ):
            node.replace_all_uses_with(before)
            traced.graph.erase_node(node)
            pairs.append((str(before.target), str(node.target)))
    traced.graph.lint()
    traced.recompile()
    traced.delete_all_unused_submodules()
    return pairs
