"""A network for the points of a landscape: BatchNorm folded, ReLU fused, weights put in and out.

See :mod:`samar.models.folding`; W' and b' are computed anew at every point.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from samar.data.objective import Objective, tensors_in
from samar.device.waiting import on_host
from samar.landscapes.fusing import fuse_relu
from samar.models.build import layout_for
from samar.models.folding import folded, without_batchnorm

ALMOST_OVERFLOW = 1e25
"""Logits from here on say that float32, which ends at 3e38, may have overflowed on the way."""


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
