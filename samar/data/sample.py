"""The images on which a loss is measured: fixed, normalized once, the same for every point."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.data.objective import Network, Objective
from samar.device.precision import exact, has_float64

AT_ONCE = 1024
"""Images that are in float64 at a time."""


@dataclass(frozen=True, eq=False)
class Sample(Objective):
    """Network inputs and labels, with cross-entropy as the loss.

    Attributes:
        x: one input a row, such as normalized images (n, c, h, w) or features (n, f); float32
            unless asked otherwise.
        y: int64 (n,).
    """

    by_example = True

    x: Tensor
    y: Tensor

    @classmethod
    def of(
        cls,
        images: ImageSet,
        normalization: Normalization,
        count: int | None = None,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> "Sample":
        """Take ``count`` evenly spaced images, all where it is left out or too large."""
        chosen = images.evenly_spaced(len(images) if count is None else count)
        # In float64 and rounded once: measured with care, unlike the batches of a training run.
        exact = torch.float64 if has_float64(chosen.images.device) else dtype
        parts = [
            normalization(part, dtype=exact).to(dtype) for part in chosen.images.split(AT_ONCE)
        ]
        return cls(torch.cat(parts), chosen.labels)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def device(self) -> torch.device:
        """Where the images are."""
        return self.x.device

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Consecutive pieces of at most ``size`` images; the last may be smaller."""
        yield from zip(self.x.split(size), self.y.split(size), strict=True)

    def pieces(self, size: int) -> Iterator[Objective]:
        """The same, each as a sample of its own."""
        for x, y in self.batches(size):
            yield Sample(x, y)

    def loss(self, network: Network) -> Tensor:
        """Mean cross-entropy of a network's logits, 0-dim."""
        return self.loss_of(network(self.x))

    def outputs(self, network: Network) -> Tensor:
        """A network's logits, (n, classes)."""
        logits: Tensor = network(self.x)
        return logits

    def loss_of(self, outputs: Tensor) -> Tensor:
        """Mean cross-entropy of logits, 0-dim."""
        return F.cross_entropy(outputs, self.y)

    def sums(self, network: Network) -> tuple[Tensor, Tensor]:
        """Sum of the cross-entropies, and the number of images that the network gets right."""
        losses, hits = self.each(network)
        return losses.sum(), hits.sum()

    def each(self, network: Network) -> tuple[Tensor, Tensor]:
        """The cross-entropy of every image, and 1 where it is right, else 0; float64 (n,)."""
        logits = network(self.x)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        losses = exact(F.cross_entropy(logits, self.y, reduction="none"))
        return losses, exact(logits.argmax(1) == self.y)

    def to(self, dtype: torch.dtype) -> "Sample":
        """The same images in another number format; inputs that are whole numbers stay."""
        return Sample(self.x.to(dtype) if self.x.is_floating_point() else self.x, self.y)

    def laid_out(self, layout: torch.memory_format) -> "Sample":
        """The same images in another layout, where they have one."""
        if self.x.dim() != 4:
            return Sample(self.x.contiguous(), self.y)
        return Sample(self.x.contiguous(memory_format=layout), self.y)
