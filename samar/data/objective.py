"""What is measured of a network: the mean of a loss over fixed examples, as its weights move.

    f(θ) = 1/n Σ_i ℓ(network_θ, example i)

An objective comes in pieces that fit into memory; each piece is an objective of fewer examples, and
f is the mean over the pieces, weighted by their examples. :class:`samar.data.sample.Sample` is
cross-entropy over images; :class:`Batches` is any loss of any network over batches as they are.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from samar.device.precision import exact
from samar.errors import ConfigError

Network = Callable[..., Any]
"""Whatever maps inputs to outputs: a module, or one with other weights put in."""
BatchLoss = Callable[[Any, Any], Tensor]
"""Of a network and a batch: the mean loss over the batch, 0-dim."""
Criterion = Callable[[Tensor, Any], Tensor]
"""Of outputs and a batch: the mean loss over the batch, 0-dim."""


UNKNOWN_EACH = (
    "This loss is known for whole batches alone, and its error needs it for each example; leave "
    "the loss out, and give inputs with labels, for cross-entropy."
)


class Objective(ABC):
    """A mean loss over ``len(self)`` fixed examples."""

    by_example = False
    """Whether the loss is a mean over examples that each have one of their own."""
    plain = True
    """Whether the network is only called, so that another that computes the same may stand in."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the examples are."""

    @abstractmethod
    def pieces(self, size: int) -> "Iterator[Objective]":
        """Consecutive pieces of at most ``size`` examples, or of as few as it can be cut into."""

    @abstractmethod
    def loss(self, network: Network) -> Tensor:
        """The mean loss of a network, 0-dim, to be differentiated."""

    def outputs(self, network: Network) -> Tensor:
        """The outputs of a network of which the loss is a function, to be differentiated.

        Raises:
            ConfigError: it is known as a function of the network alone.
        """
        raise ConfigError(
            "This loss is known as a whole, not as a function of the network's outputs; give "
            "loss= and pairs of inputs and targets."
        )

    def loss_of(self, outputs: Tensor) -> Tensor:
        """The mean loss of the outputs of :meth:`outputs`, 0-dim."""
        raise NotImplementedError

    @abstractmethod
    def sums(self, network: Network) -> tuple[Tensor, Tensor]:
        """The sum of the losses and the number of examples that the network gets right.

        Both 0-dim, in float64 where the device has it; the second NaN where there is no right.
        """

    def each(self, network: Network) -> tuple[Tensor, Tensor]:
        """Every example's own loss, and whether the network gets it right (1, 0 or NaN), (n,) both.

        Float64 where the device has it. The mean of the losses is that of :meth:`loss`.

        Raises:
            ConfigError: the loss is not one of single examples.
        """
        raise ConfigError(UNKNOWN_EACH)

    def measured(
        self, network: Network, size: int, check: Callable[[], None] = lambda: None
    ) -> Tensor:
        """The sums of :meth:`sums`, (2,), from one piece after the other.

        Args:
            size: examples of a piece.
            check: called before each; may raise to cancel.
        """
        parts = []
        for piece in self.pieces(size):
            check()
            parts.append(torch.stack(piece.sums(network)))
        return torch.stack(parts).sum(0)

    def measured_each(
        self, network: Network, size: int, check: Callable[[], None] = lambda: None
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`measured`, with what :meth:`each` says of all examples, (2, n).

        None where the loss of a batch is all that there is.
        """
        if not self.by_example:
            return self.measured(network, size, check), None
        sums, each = [], []
        for piece in self.pieces(size):
            check()
            found = piece.each(network)
            sums.append(torch.stack([column.sum() for column in found]))
            each.append(torch.stack(found))
        return torch.stack(sums).sum(0), torch.cat(each, 1)

    @abstractmethod
    def to(self, dtype: torch.dtype) -> "Objective":
        """The same with inputs in the number format of a network, where they can be converted."""

    @abstractmethod
    def laid_out(self, layout: torch.memory_format) -> "Objective":
        """The same with inputs of four dimensions in another layout."""


class Batches(Objective):
    """Batches as they were given, with the loss that was given for them.

    Args:
        batches: any structure of tensors each: a tensor, tuple, list or mapping.
        loss: see :data:`BatchLoss`; with a criterion, the network's outputs for the batch instead.
        criterion: where the loss is known as a function of outputs, that function.
        plain: see :class:`Objective`.

    Raises:
        ConfigError: there is no batch, or one without a tensor.
    """

    def __init__(
        self,
        batches: Sequence[Any],
        loss: BatchLoss,
        criterion: Criterion | None = None,
        *,
        plain: bool = False,
    ) -> None:
        if not batches:
            raise ConfigError("There is no batch to measure on; give at least one.")
        self._batches, self._loss, self.plain = tuple(batches), loss, plain
        self._criterion = criterion
        self._sizes = tuple(map(size_of, self._batches))

    def __len__(self) -> int:
        return sum(self._sizes)

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return first_tensor(self._batches[0]).device

    def pieces(self, size: int) -> Iterator[Objective]:
        """The batches, which are not cut: their loss need not be a mean over examples alone."""
        for batch in self._batches:
            yield Batches([batch], self._loss, self._criterion, plain=self.plain)

    def loss(self, network: Network) -> Tensor:
        """The mean loss of a network, 0-dim, to be differentiated."""
        parts = []
        for batch, size in zip(self._batches, self._sizes, strict=True):
            parts.append(self._mean(network, batch) * (size / len(self)))
        return torch.stack(parts).sum()

    def outputs(self, network: Network) -> Tensor:
        """The outputs of a network for the one batch of a piece."""
        if self._criterion is None:
            return super().outputs(network)
        (batch,) = self._batches
        found = self._loss(network, batch)
        if not isinstance(found, Tensor):
            raise ConfigError(
                f"The network's output is a {type(found).__name__}; this curvature needs one "
                "tensor."
            )
        return found

    def loss_of(self, outputs: Tensor) -> Tensor:
        """The mean loss of the outputs for the one batch of a piece."""
        assert self._criterion is not None
        (batch,) = self._batches
        return self._criterion(outputs, batch)

    def each(self, network: Network) -> tuple[Tensor, Tensor]:
        """The loss of every example of the one batch of a piece, and NaN, (n,) both.

        It is for the caller to see whether their mean is the loss of the batch.
        """
        if (criterion := self._criterion) is None:
            return super().each(network)
        outputs = self.outputs(network)
        (batch,), (size,) = self._batches, self._sizes

        def one(index: int) -> Callable[[Tensor], Tensor]:
            return lambda t: t[index : index + 1] if t.dim() and len(t) == size else t

        if not outputs.dim() or len(outputs) != size:
            raise ConfigError("The outputs are not one for each example, so neither is the loss.")
        each = [criterion(one(i)(outputs), mapped(one(i), batch)) for i in range(size)]
        losses = torch.stack(each)
        return losses, torch.full_like(losses, torch.nan)

    def sums(self, network: Network) -> tuple[Tensor, Tensor]:
        """The sum of the losses, and NaN."""
        total = exact(self.loss(network)) * len(self)
        return total, torch.full_like(total, torch.nan)

    def _mean(self, network: Network, batch: Any) -> Tensor:
        found = self._loss(network, batch)
        if self._criterion is not None:
            found = self._criterion(found, batch)
        if not isinstance(found, Tensor) or found.dim():
            what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else found
            raise ConfigError(
                f"The loss of a batch is {what!s:.60}; it must be a tensor without dimensions, "
                "the mean over the batch."
            )
        return found

    def to(self, dtype: torch.dtype) -> Objective:
        """The same: what the network takes is the caller's business."""
        return self

    def laid_out(self, layout: torch.memory_format) -> Objective:
        """The same with inputs of four dimensions in another layout."""

        def change(tensor: Tensor) -> Tensor:
            return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor

        changed = [mapped(change, batch) for batch in self._batches]
        return Batches(changed, self._loss, self._criterion, plain=self.plain)


def mapped(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """A batch of any structure with every tensor in it changed."""
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {name: mapped(change, each) for name, each in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(mapped(change, each) for each in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(mapped(change, each) for each in batch)
    return batch


def tensors_in(batch: Any) -> Iterator[Tensor]:
    """Every tensor of a batch of any structure, in order."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for each in batch.values():
            yield from tensors_in(each)
    elif isinstance(batch, list | tuple):
        for each in batch:
            yield from tensors_in(each)


def first_tensor(batch: Any) -> Tensor:
    """The first tensor of a batch.

    Raises:
        ConfigError: there is none.
    """
    found = next(tensors_in(batch), None)
    if found is None:
        raise ConfigError(
            f"A batch is a {type(batch).__name__} without a tensor in it; give tensors, or tuples, "
            "lists or mappings of them."
        )
    return found


def size_of(batch: Any) -> int:
    """Examples in a batch: the length of its first tensor; 1 of one without dimensions."""
    found = first_tensor(batch)
    return len(found) if found.dim() else 1
