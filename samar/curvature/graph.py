"""A product with a curvature matrix of one batch as a graph, and what it costs to keep it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from samar.curvature.convolution import Linearized
from samar.device.waiting import on_host

Parameters = dict[str, Tensor]
Outputs = Callable[[Parameters], Tensor]


class Graph(ABC):
    """A matrix A of one batch, whose products recompute nothing.

    Attributes:
        loss: mean loss of the batch.
        bytes: of the tensors that the graph holds, the parameters included.
    """

    loss: float
    bytes: int

    @property
    @abstractmethod
    def gradient(self) -> tuple[Tensor, ...]:
        """Of the loss, one tensor per parameter."""

    @abstractmethod
    def product(self, tangent: Parameters) -> tuple[Tensor, ...]:
        """A v, parameter by parameter; the graph stays for the next v."""

    def form(self, tangent: Parameters) -> Tensor:
        """vᵀ A v, 0-dim."""
        return _inner(tangent.values(), self.product(tangent))


class GradientGraph(Graph):
    """The gradient of a loss and, where it is to be differentiated again, its graph: A = H."""

    def __init__(self, loss: Outputs, at: Parameters, *, again: bool) -> None:
        leaves, self._leaves = _leaves(at)
        with torch.enable_grad(), _counted() as sizes:
            value = loss(leaves)
            self._gradient = torch.autograd.grad(
                value, self._leaves, create_graph=again, materialize_grads=True
            )
        self.loss = on_host(value).item()
        self.bytes = sum(sizes.values()) + sum(g.nbytes for g in self._gradient)

    @property
    def gradient(self) -> tuple[Tensor, ...]:
        """Of the loss, one tensor per parameter."""
        return self._gradient

    def product(self, tangent: Parameters) -> tuple[Tensor, ...]:
        """∇⟨gradient, tangent⟩; the graph stays for the next tangent."""
        used, directions = _used(self._gradient, tangent)
        if not used:  # the loss is linear in these weights
            return tuple(map(torch.zeros_like, self._leaves))
        return torch.autograd.grad(
            used, self._leaves, directions, retain_graph=True, materialize_grads=True
        )


class SandwichGraph(Graph):
    """A = Jᵀ M J of a function z of the weights with the Jacobian J, of which f is a function.

    Jᵀu is linear in u, and its derivative along v is J v.

    Args:
        function: z, of the weights.
        loss: f, of z.
        middle: of z and of J v: M J v.
    """

    def __init__(
        self,
        function: Outputs,
        loss: Callable[[Tensor], Tensor],
        middle: Callable[[Tensor, Tensor], Tensor],
        at: Parameters,
    ) -> None:
        self._middle = middle
        leaves, self._leaves = _leaves(at)
        with torch.enable_grad(), _counted() as sizes, Linearized():
            self._value = function(leaves)
            self._still = self._value.detach()
            self._along = torch.zeros_like(self._value, requires_grad=True)
            self._pulled = torch.autograd.grad(
                self._value, self._leaves, self._along, create_graph=True, materialize_grads=True
            )
        outputs = self._still.clone().requires_grad_()
        with torch.enable_grad():
            value = loss(outputs)
            (self._slope,) = torch.autograd.grad(value, outputs)
        self.loss = on_host(value).item()
        self.bytes = sum(sizes.values())

    @property
    def gradient(self) -> tuple[Tensor, ...]:
        """Of the loss, one tensor per parameter."""
        return self._transposed(self._slope)

    def product(self, tangent: Parameters) -> tuple[Tensor, ...]:
        """Jᵀ M J v, parameter by parameter."""
        return self._transposed(self._middle(self._still, self.moved(tangent)).detach())

    def form(self, tangent: Parameters) -> Tensor:
        """(J v)ᵀ M J v, 0-dim, without the way back."""
        moved = self.moved(tangent)
        return _inner([moved], [self._middle(self._still, moved)])

    def moved(self, tangent: Parameters) -> Tensor:
        """J v, shaped like z."""
        used, directions = _used(self._pulled, tangent)
        if not used:
            return torch.zeros_like(self._still)
        (moved,) = torch.autograd.grad(used, self._along, directions, retain_graph=True)
        return moved

    def _transposed(self, slope: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(
            self._value, self._leaves, slope, retain_graph=True, materialize_grads=True
        )


def _leaves(at: Parameters) -> tuple[Parameters, tuple[Tensor, ...]]:
    leaves = {name: p.detach().requires_grad_() for name, p in at.items()}
    return leaves, tuple(leaves.values())


def _used(
    gradient: tuple[Tensor, ...], tangent: Parameters
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What has a graph, which the zero gradient of a parameter that is not used has not."""
    pairs = zip(gradient, tangent.values(), strict=True)
    having = [(g, t) for g, t in pairs if g.requires_grad]
    return tuple(g for g, _ in having), tuple(t for _, t in having)


@contextmanager
def _counted() -> Iterator[dict[int, int]]:
    """Bytes of every storage that a graph made in the block holds."""
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield sizes


def _inner(left: Iterable[Tensor], right: Iterable[Tensor]) -> Tensor:
    pairs = zip(left, right, strict=True)
    return torch.stack([(a * b).sum() for a, b in pairs]).sum()
