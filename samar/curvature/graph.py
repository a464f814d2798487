"""A gradient that can be differentiated again, and what it costs to keep it so."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from samar.device.waiting import on_host

Parameters = dict[str, Tensor]


class GradientGraph:
    """The gradient of one batch's loss and, where it is to be differentiated again, its graph.

    Attributes:
        loss: mean loss of the batch.
        gradient: one tensor per parameter.
        bytes: of the gradient and of the tensors that its graph holds, the parameters included.
    """

    def __init__(
        self, loss: Callable[[Parameters], Tensor], at: Parameters, *, again: bool
    ) -> None:
        leaves = {name: p.detach().requires_grad_() for name, p in at.items()}
        self._leaves = tuple(leaves.values())
        sizes: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()

        with torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
            value = loss(leaves)
            self.gradient = torch.autograd.grad(
                value, self._leaves, create_graph=again, materialize_grads=True
            )
        self.loss = on_host(value).item()
        self.bytes = sum(sizes.values()) + sum(g.nbytes for g in self.gradient)

    def product(self, tangent: Parameters) -> tuple[Tensor, ...]:
        """∇⟨gradient, tangent⟩; the graph stays for the next tangent."""
        pairs = zip(self.gradient, tangent.values(), strict=True)
        # The zero gradient of a parameter that the loss does not use has no graph.
        used = [(g, t) for g, t in pairs if g.requires_grad]
        gradients, directions = zip(*used, strict=True)
        return torch.autograd.grad(
            gradients, self._leaves, directions, retain_graph=True, materialize_grads=True
        )
