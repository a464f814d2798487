r"""Which neurons of a network can change places without changing what it computes.

A neuron here is a channel of a convolution or a unit of a linear layer. Permuting the outputs of a
layer, with its BatchNorm, and the inputs of the next layer alike,

    W₂ ReLU(W₁ x) = (W₂ Pᵀ) ReLU(P W₁ x),

leaves the function as it is. Where a shortcut adds two layers' outputs, their neurons are tied and
move together; a shortcut that fills new channels with zeros ties the old channels alone.

The rule is read off the network's traced graph and not written down for each architecture. Every
channel of every activation is a symbol. A convolution or linear layer takes symbols on its
weight's input axis and makes new ones on its output axis; BatchNorm, ReLU, pooling, dropout and
means over pixels hand them on; an addition makes two symbols one; padding adds new ones. The
symbols of the image's channels and of the logits are fixed. Symbols that occur on the same axes of
the same tensors are one group, within which any permutation is allowed.

Reference:
    Ainsworth, Hayase, Srinivasa, "Git Re-Basin: Merging Models modulo Permutation Symmetries",
    ICLR 2023, arXiv 2209.04836, section 2 and appendix A. There, the rule is written by hand for
    each architecture.
"""

import copy
import operator
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from samar.errors import ConfigError
from samar.landscapes.frame import State

Integers = npt.NDArray[np.int64]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool2d),
)
_PLAIN_MODULES = (
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus),
    *(nn.Identity, nn.Dropout, nn.Dropout2d, *_POOLS),
)
_PLAIN_FUNCTIONS: tuple[Any, ...] = (
    *(F.relu, F.leaky_relu, F.elu, F.gelu, F.silu, F.softplus, F.dropout, F.dropout2d),
    *(torch.relu, torch.tanh, torch.sigmoid, F.avg_pool2d, F.adaptive_avg_pool2d),
)
_PLAIN_METHODS = ("relu", "tanh", "sigmoid", "contiguous", "clone")
_ADDITIONS: tuple[Any, ...] = (operator.add, operator.iadd, torch.add)


@dataclass(frozen=True, eq=False)
class Place:
    """Where the neurons of a group stand in one tensor.

    Attributes:
        tensor: its name in the ``state_dict``.
        axis: of the tensor.
        slots: int64 (n, m), the m positions along the axis that belong to each of n neurons.
    """

    tensor: str
    axis: int
    slots: Integers


@dataclass(frozen=True, eq=False)
class NeuronGroup:
    """Neurons that can change places with each other.

    Attributes:
        places: where they stand, in the order of the forward pass.
    """

    places: tuple[Place, ...]

    @property
    def size(self) -> int:
        """How many neurons."""
        return len(self.places[0].slots)


def neuron_groups(model: nn.Module, images: Tensor) -> tuple[NeuronGroup, ...]:
    """The groups of exchangeable neurons of a network, in the order of its forward pass.

    Args:
        model: is left as it was.
        images: what the network takes, (n, channels, …); one is enough.

    Raises:
        ConfigError: the network has an operation for which there is no rule.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> [group.size for group in neuron_groups(net, torch.zeros(1, 3))]
        [8]
    """
    plain = copy.deepcopy(model).eval()
    try:
        traced = fx.symbolic_trace(plain)
        with torch.no_grad():
            ShapeProp(traced).propagate(images[:1])
    except Exception as error:
        raise _no_rule(f"its forward pass cannot be traced ({type(error).__name__})") from None
    walk = _Walk(traced, _names_of_each(plain))
    walk.all()
    return walk.groups()


def permuted(
    state: State, groups: Sequence[NeuronGroup], permutations: Sequence[Integers]
) -> dict[str, Tensor]:
    """The network with its neurons in another order, which computes the same.

    Args:
        state: parameters and buffers by name.
        groups: from :func:`neuron_groups`.
        permutations: one of each group; its i-th neuron becomes neuron ``p[i]`` of the state.
    """
    found = dict(state)
    for group, order in zip(groups, permutations, strict=True):
        permute_group(found, group, order)
    return found


def permute_group(state: dict[str, Tensor], group: NeuronGroup, order: Integers) -> None:
    """Permute the neurons of one group in place of the mapping's tensors."""
    for place in group.places:
        tensor = state[place.tensor]
        index = np.arange(tensor.shape[place.axis])
        index[place.slots] = place.slots[order]
        state[place.tensor] = tensor.index_select(
            place.axis, torch.from_numpy(index).to(tensor.device)
        )


def _no_rule(why: str) -> ConfigError:
    return ConfigError(f"The neurons of this network cannot be aligned: {why}; choose align none.")


def _names_of_each(model: nn.Module) -> dict[str, list[str]]:
    """All names of the tensor that a name stands for; several where modules share it."""
    state = model.state_dict(keep_vars=True)
    names: dict[int, list[str]] = defaultdict(list)
    for name, tensor in state.items():
        names[id(tensor)].append(name)
    return {name: names[id(tensor)] for name, tensor in state.items()}


class _Walk:
    """Symbols for the channels of every activation, gathered node by node."""

    def __init__(self, traced: fx.GraphModule, names: Mapping[str, Sequence[str]]) -> None:
        self._traced, self._names = traced, names
        self._modules = dict(traced.named_modules())
        self._parent: list[int] = []
        self._channels: dict[fx.Node, Integers] = {}
        self._places: dict[tuple[str, int], Integers] = {}
        self._fixed: list[int] = []

    def all(self) -> None:
        for node in self._traced.graph.nodes:
            if node.op == "placeholder":
                self._channels[node] = self._new(_shape(node)[1])
                self._fixed += self._channels[node].tolist()
            elif node.op == "output":
                if not isinstance(node.args[0], fx.Node):
                    raise _no_rule("it returns more than one tensor")
                self._fixed += self._of(node.args[0]).tolist()
            else:
                self._channels[node] = self._after(node)

    def groups(self) -> tuple[NeuronGroup, ...]:
        fixed = {self._root(symbol) for symbol in self._fixed}
        slots: dict[int, dict[tuple[str, int], list[int]]] = defaultdict(dict)
        for place, symbols in self._places.items():
            for slot, symbol in enumerate(symbols.tolist()):
                slots[self._root(symbol)].setdefault(place, []).append(slot)
        alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
        for root, found in slots.items():
            if root not in fixed:
                alike[tuple((place, len(found[place])) for place in found)].append(root)
        return tuple(
            NeuronGroup(
                tuple(
                    Place(name, axis, np.array([slots[root][name, axis] for root in roots]))
                    for (name, axis), _ in signature
                )
            )
            for signature, roots in alike.items()
            if len(roots) > 1
        )

    def _after(self, node: fx.Node) -> Integers:
        """The symbols of a node's channels, from those of its inputs."""
        if any(isinstance(each, fx.Node) for each in node.kwargs.values()):
            raise _no_rule(f"{_named(node.target)} is given an input by name")
        if node.op == "call_module":
            return self._after_module(node, self._modules[str(node.target)], str(node.target))
        if node.op == "call_function" and node.target in _ADDITIONS:
            given = [each for each in node.args if isinstance(each, fx.Node)]
            first, *others = [self._of(each) for each in given]
            for other in others:
                self._tie(first, other, node)
            return first
        if node.op == "call_function" and node.target is F.pad:
            return self._padded(node)
        if node.op == "call_function" and node.target is operator.getitem:
            index = node.args[1]
            whole = (slice(None), slice(None))
            if isinstance(index, tuple) and index[:2] == whole:
                return self._of(node.args[0])
        if _flattens(node):
            return self._flattened(node)
        if _averages_pixels(node) or _is_plain(node):
            return self._of(node.args[0])
        raise _no_rule(f"there is no rule for {_named(node.target)}")

    def _after_module(self, node: fx.Node, module: nn.Module, name: str) -> Integers:
        before = self._of(node.args[0])
        if isinstance(module, _CONVOLUTIONS):
            if module.groups != 1:
                raise _no_rule(f"{name} is a grouped convolution")
            return self._weighted(name, module, before, node)
        if isinstance(module, nn.Linear):
            if len(_shape(node)) != 2:
                raise _no_rule(f"{name} is a linear layer over positions")
            return self._weighted(name, module, before, node)
        if isinstance(module, _NORMS):
            for part, tensor in module.state_dict().items():
                if tensor.dim() == 1:
                    self._put(f"{name}.{part}", 0, before, node)
            return before
        if isinstance(module, nn.Flatten):
            return self._flattened(node)
        if isinstance(module, _PLAIN_MODULES):
            return before
        raise _no_rule(f"there is no rule for {name} ({type(module).__name__})")

    def _weighted(self, name: str, module: Any, before: Integers, node: fx.Node) -> Integers:
        after = self._new(len(module.weight))
        self._put(f"{name}.weight", 0, after, node)
        self._put(f"{name}.weight", 1, before, node)
        if module.bias is not None:
            self._put(f"{name}.bias", 0, after, node)
        return self._places[f"{name}.weight", 0]

    def _padded(self, node: fx.Node) -> Integers:
        """Zeros in new channels; zeros around the image change nothing."""
        before, pads, *how = node.args
        symbols = self._of(before)
        if how[:1] not in ([], ["constant"]):
            raise _no_rule("it pads with other values than zeros")
        assert isinstance(pads, Sequence)
        place = 2 * (len(_shape(node)) - 2)
        low, high = (int(str(each)) for each in (*pads, *[0] * (place + 2))[place : place + 2])
        return np.concatenate([self._new(low), symbols, self._new(high)])

    def _flattened(self, node: fx.Node) -> Integers:
        before = node.args[0]
        assert isinstance(before, fx.Node)
        pixels = int(np.prod(_shape(before)[2:], dtype=np.int64))
        symbols = np.repeat(self._of(before), pixels)
        if _shape(node) != (_shape(before)[0], len(symbols)):
            raise _no_rule("it flattens other dimensions than those of an image")
        return symbols

    def _put(self, tensor: str, axis: int, symbols: Integers, node: fx.Node) -> None:
        if tensor not in self._names:
            raise _no_rule(f"{tensor} is computed from other tensors")
        for name in self._names[tensor]:
            known = self._places.setdefault((name, axis), symbols)
            if known is not symbols:  # the module is used twice, or shares the tensor
                self._tie(known, symbols, node)

    def _of(self, node: Any) -> Integers:
        if not isinstance(node, fx.Node) or node not in self._channels:
            raise _no_rule(f"there is no rule for {_named(node)}")
        return self._channels[node]

    def _new(self, count: int) -> Integers:
        first = len(self._parent)
        self._parent += range(first, first + count)
        return np.arange(first, first + count)

    def _tie(self, one: Integers, other: Integers, node: fx.Node) -> None:
        if len(one) != len(other):
            raise _no_rule(f"{node} joins {len(one)} and {len(other)} channels")
        for a, b in zip(one.tolist(), other.tolist(), strict=True):
            self._parent[self._root(b)] = self._root(a)

    def _root(self, symbol: int) -> int:
        while self._parent[symbol] != symbol:
            self._parent[symbol] = self._parent[self._parent[symbol]]
            symbol = self._parent[symbol]
        return symbol


def _shape(node: fx.Node) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape)


def _is_plain(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _PLAIN_METHODS
    return node.op == "call_function" and node.target in _PLAIN_FUNCTIONS


def _flattens(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target == "flatten"
    return node.op == "call_function" and node.target is torch.flatten


def _averages_pixels(node: fx.Node) -> bool:
    """Whether it is a mean over dimensions behind the channels."""
    if node.target not in ("mean", torch.mean) or len(node.args) < 2:
        return False
    (before, over), rank = node.args[:2], 0
    if isinstance(before, fx.Node):
        rank = len(_shape(before))
    dims = over if isinstance(over, Sequence) else (over,)
    return all(isinstance(each, int) and each % rank > 1 for each in dims)


def _named(target: Any) -> str:
    return str(getattr(target, "__name__", target))
