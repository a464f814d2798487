"""The Hessian of a loss over fixed examples, as an operator: v ↦ H v without ever forming H.

What every curvature matrix of a loss has in common is in :class:`CurvatureMatrix`; those besides
the Hessian are in :mod:`samar.curvature.matrices`.

    H = ∇²f(θ),   f = mean loss over all examples,   H v = d/dt ∇f(θ + t v) at t = 0

Products are summed over batches, each weighted by its number of examples. Each is taken from the
graph of the batch's gradient, by differentiating ⟨∇f, v⟩ once more in reverse. The first batches,
as many as fit into :data:`KEPT_BYTES`, keep their graph for the next product, which recomputes
nothing; the others make one for each product. So neither the result (up to rounding) nor the peak
memory depends on the number of batches.

BatchNorm is folded into the convolutions (:mod:`samar.models.folding`) within what is
differentiated, so that the derivatives are still those of the network's own weights. It saves a
fifth of a product's time and nearly half of a graph's memory.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from itertools import groupby
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from samar.curvature.catalog import BATCH_SIZE, KEPT_BYTES, KEPT_SHARE
from samar.curvature.graph import GradientGraph, Graph, Parameters
from samar.data.objective import Objective
from samar.device.memory import free_bytes, is_out_of_memory, release
from samar.device.placement import is_gpu
from samar.device.precision import exact, full_precision
from samar.device.waiting import on_host
from samar.errors import ConfigError
from samar.models.folding import Folding
from samar.models.guard import undisturbed

_LAYOUT = torch.contiguous_format

WHOLE = "(network)"
"""The layer of the parameters that are the network's own; no module is called so."""

T = TypeVar("T")

Product = Callable[[Tensor], Tensor]

OnBatch = Callable[[], None]
"""Called before every batch, also while an operator is built; may raise to cancel."""


class CurvatureMatrix(ABC):
    """A matrix (n, n) over the trainable parameters, in their order, flattened and concatenated.

    Made by :func:`operator_of`, which keeps the model in the state that the products assume. It is
    the mean over the examples: each batch's part is weighted by its number of examples.

    Args:
        model: in eval mode; parameters with ``requires_grad=False`` are held fixed.
        sample: the examples and their loss, such as images; their floating-point type must be the
            model's.
        batch_size: examples per pass, those of :data:`BATCH_SIZE` if None.
        only: names of the parameters that span the space, all trainable ones if None. The result is
            then the diagonal block that belongs to them.
        on_batch: see :data:`OnBatch`.

    Attributes:
        at: θ, by the parameters' names.
        layers: name of each module with parameters of its own, to its part of the n coordinates.

    Raises:
        ConfigError: there is no trainable parameter or no example, or the loss is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        sample: Objective,
        *,
        batch_size: int | None = None,
        only: tuple[str, ...] | None = None,
        on_batch: OnBatch | None = None,
    ) -> None:
        if len(sample) == 0:
            raise ConfigError("There are 0 images to measure curvature on; give at least 1.")
        self._fixed = {name: p.detach() for name, p in model.named_parameters()}
        self.at: Parameters = {
            name: self._fixed.pop(name)
            for name, p in model.named_parameters()
            if p.requires_grad and (only is None or name in only)
        }
        if not self.at:
            raise ConfigError(
                "The model has 0 trainable parameters; set requires_grad=True on at least one."
            )
        # In one layout whatever that of a live model: second derivatives are quickest there, and
        # another layout rounds differently, which switches a few ReLUs.
        self.at = {name: p.clone(memory_format=_LAYOUT) for name, p in self.at.items()}
        self._asked, self._on_batch = _Asked(model, stand_in=sample.plain), on_batch
        self._batch_size = batch_size or batch_size_on(sample.device)
        self._sample = sample.laid_out(_LAYOUT)
        self._kept_bytes = kept_bytes_on(sample.device)
        self._sizes = [p.numel() for p in self.at.values()]
        self._graphs: list[Graph] = []

    def prepare(self) -> None:
        """Take loss and gradient, and keep graphs for the products to come.

        Raises:
            ConfigError: the loss is not finite.
        """
        _ = self._of_all

    def __len__(self) -> int:
        return sum(self._sizes)

    @property
    def kept(self) -> int:
        """How many batches keep the graph of their gradient."""
        return len(self._graphs)

    @property
    def examples(self) -> int:
        """Over how many examples the matrix is the mean."""
        return len(self._sample)

    @property
    def loss(self) -> float:
        """f(θ)."""
        return self._of_all[0]

    @property
    def gradient(self) -> Tensor:
        """∇f(θ), (n,)."""
        return self._of_all[1]

    @cached_property
    def _of_all(self) -> tuple[float, Tensor]:
        """Loss and gradient over all batches, which keeps graphs on the way."""
        loss, gradient = self._frugally(self._loss_and_gradient)
        if not math.isfinite(loss):
            raise ConfigError(
                f"The loss is {loss} at these weights, so it has no curvature; "
                "choose weights from before the run diverged."
            )
        return loss, gradient

    @property
    def point(self) -> Tensor:
        """θ, (n,)."""
        return flat(self.at.values())

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the products."""
        return self.point.dtype

    @property
    def device(self) -> torch.device:
        """Where the products are computed."""
        return self._sample.device

    @property
    def layers(self) -> dict[str, slice]:
        """Coordinates of each layer; a layer's parameters follow one another."""
        parts, start = {}, 0
        named = zip(self.at, self._sizes, strict=True)
        for layer, members in groupby(named, key=lambda item: _layer_of(item[0])):
            stop = start + sum(size for _, size in members)
            parts[layer] = slice(start, stop)
            start = stop
        return parts

    def parameters_of(self, layer: str) -> tuple[str, ...]:
        """Names of a layer's trainable parameters, as ``only`` takes them."""
        return tuple(name for name in self.at if _layer_of(name) == layer)

    def __matmul__(self, vector: Tensor) -> Tensor:
        """The product with v of shape (n,).

        Raises:
            ConfigError: the product is not finite.
        """
        product = self._frugally(lambda: self._product(vector))
        if not on_host(torch.isfinite(product).all()):
            raise ConfigError(
                "A matrix-vector product is not finite at these weights, whose loss is "
                f"{self.loss:g}; choose weights from before the run diverged."
            )
        return product

    def _product(self, vector: Tensor) -> Tensor:
        total, tangent = torch.zeros_like(self.point), self.unflat(vector)
        for index, piece in enumerate(self.batches()):
            graph = self._graphs[index] if index < self.kept else self.graph_of(piece)
            total.add_(flat(graph.product(tangent)), alpha=len(piece) / self.examples)
        return total

    @abstractmethod
    def graph_of(self, piece: Objective) -> Graph:
        """The matrix of one batch alone."""

    def forms(
        self, vectors: Tensor, graph_of: Callable[[Objective], Graph] | None = None
    ) -> tuple[Tensor, Tensor]:
        """vᵀ A v of each row v of (k, n) for each batch alone, from one graph a batch.

        Args:
            graph_of: of a batch, for another matrix A.

        Returns:
            The number of examples of each batch, (b,), and the values, (b, k), in float64.
        """
        tangents = [self.unflat(vector.to(self.point)) for vector in vectors]

        def attempt() -> tuple[Tensor, Tensor]:
            sizes, rows = [], []
            for piece in self.batches():
                graph = (graph_of or self.graph_of)(piece)
                rows.append(on_host(torch.stack([graph.form(tangent) for tangent in tangents])))
                sizes.append(len(piece))
            return torch.tensor(sizes), torch.stack(rows).double()

        return self._frugally(attempt)

    def _frugally(self, attempt: Callable[[], T]) -> T:
        """Do it; where memory is not enough, keep no graphs, and halve the batches until it is."""
        while True:
            try:
                return attempt()
            except Exception as error:
                if not is_out_of_memory(error) or (self._batch_size == 1 and not self._graphs):
                    raise
            if not self._graphs:
                self._batch_size = max(1, self._batch_size // 2)
            self._graphs, self._kept_bytes = [], -1
            release()

    @torch.no_grad()
    def loss_at(self, offset: Tensor) -> float:
        """f(θ + offset) for an offset of shape (n,); the model's weights stay where they are."""
        return self._frugally(lambda: self._loss_at(self.unflat(self.point + offset)))

    def _loss_at(self, at: Parameters) -> float:
        losses = [exact(self._loss(at, piece)) * len(piece) for piece in self.batches()]
        return on_host(torch.stack(losses).sum()).item() / self.examples

    def batches(self) -> Iterator[Objective]:
        """The examples of one pass after the other."""
        for piece in self._sample.pieces(self._batch_size):
            if self._on_batch:
                self._on_batch()
            yield piece

    def _loss(self, at: Parameters, piece: Objective) -> Tensor:
        loss: Tensor = self.ask("loss", at, piece)
        return loss

    def ask(self, what: str, at: Parameters, piece: Objective) -> Any:
        """What a method of an objective says of the network with these weights."""
        weights = {f"{self._asked.prefix}{name}": p for name, p in (self._fixed | at).items()}
        return functional_call(self._asked, weights, (what, piece))

    def _loss_and_gradient(self) -> tuple[float, Tensor]:
        """Of all batches; what fits into memory of their graphs is kept on the way."""
        loss, total = 0.0, torch.zeros_like(self.point)
        held = size = 0
        for piece in self.batches():
            keep = held + size <= self._kept_bytes
            graph = self.graph_of(piece) if keep else self._slope_of(piece)
            if keep:
                size = graph.bytes
                held += size
                if held <= self._kept_bytes:
                    self._graphs.append(graph)
            share = len(piece) / self.examples
            loss += share * graph.loss
            total.add_(flat(g.detach() for g in graph.gradient), alpha=share)
        return loss, total

    def _slope_of(self, piece: Objective) -> Graph:
        return GradientGraph(partial(self._loss, piece=piece), self.at, again=False)

    def unflat(self, vector: Tensor) -> Parameters:
        """The parts of a vector (n,) in the shapes of the parameters."""
        pieces = zip(self.at.items(), vector.split(self._sizes), strict=True)
        return {name: piece.view(p.shape) for (name, p), piece in pieces}


def _layer_of(parameter: str) -> str:
    return parameter.rpartition(".")[0] or WHOLE


class _Asked(nn.Module):
    """A question to an objective as a module around the network, so that weights can be put in.

    Args:
        network: in eval mode.
        stand_in: whether another that computes the same may stand in: one with folded BatchNorm.

    Attributes:
        prefix: of the network's own parameters within this module.
    """

    def __init__(self, network: nn.Module, *, stand_in: bool) -> None:
        super().__init__()
        self.network, self.prefix = network, "network."
        if stand_in:
            with suppress(Exception):  # one that cannot be copied is asked itself
                folding = Folding(network)
                if folding.pairs:
                    self.network, self.prefix = folding, "network.source."

    def forward(self, what: str, piece: Objective) -> Any:
        """What that method of the objective says of the network."""
        return getattr(piece, what)(self.network)


class Hessian(CurvatureMatrix):
    """H = ∇²f(θ), (n, n); made by :func:`hessian_of`."""

    def graph_of(self, piece: Objective) -> Graph:
        """The Hessian of one batch alone."""
        return GradientGraph(partial(self._loss, piece=piece), self.at, again=True)


M = TypeVar("M", bound=CurvatureMatrix)


@contextmanager
def operator_of(
    matrix: type[M],
    model: nn.Module,
    sample: Objective,
    *,
    batch_size: int | None = None,
    only: tuple[str, ...] | None = None,
    on_batch: OnBatch | None = None,
    products: bool = True,
) -> Iterator[M]:
    """A curvature matrix of a model, which is left bit for bit as it was when the block ends.

    In the block the model is in eval mode, and products are taken in full precision.

    Args:
        products: are wanted: loss and gradient are taken at once and graphs kept. Without,
            :meth:`CurvatureMatrix.forms` goes over the examples only once.
    """
    attention = sdpa_kernel(SDPBackend.MATH)  # the one with a second derivative
    with undisturbed(model), full_precision(), attention:
        found = matrix(model, sample, batch_size=batch_size, only=only, on_batch=on_batch)
        if products:
            found.prepare()
        yield found


@contextmanager
def hessian_of(
    model: nn.Module,
    sample: Objective,
    *,
    batch_size: int | None = None,
    only: tuple[str, ...] | None = None,
    on_batch: OnBatch | None = None,
) -> Iterator[Hessian]:
    """The Hessian of a model; see :func:`operator_of`.

    Example:
        >>> from samar.data.sample import Sample
        >>> images = Sample(torch.randn(8, 3), torch.randint(2, (8,)))
        >>> with hessian_of(nn.Linear(3, 2), images) as hessian:
        ...     (hessian @ torch.ones(len(hessian))).shape
        torch.Size([8])
    """
    with operator_of(
        Hessian, model, sample, batch_size=batch_size, only=only, on_batch=on_batch
    ) as hessian:
        yield hessian


def batch_size_on(device: torch.device) -> int:
    """How many images a pass takes there."""
    return BATCH_SIZE[is_gpu(device)]


def kept_bytes_on(device: torch.device) -> int:
    """What kept graphs may take there."""
    return int(KEPT_SHARE * free_bytes(device)) if is_gpu(device) else KEPT_BYTES


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All numbers, one tensor after the other, (n,)."""
    return torch.cat([t.reshape(-1) for t in tensors])
