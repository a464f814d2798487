"""The images on which a loss is measured: fixed, normalized once, the same for every point."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.device.placement import layout_of
from samar.device.precision import has_float64


@dataclass(frozen=True, eq=False)
class Sample:
    """Network inputs and labels.

    Attributes:
        x: (n, c, h, w), normalized, float32 unless asked otherwise.
        y: int64 (n,).
    """

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
        x = normalization(chosen.images, dtype=exact)
        return cls(x.to(dtype), chosen.labels)

    def laid_out(self) -> "Sample":
        """The same images in the layout in which convolutions are quickest on their device."""
        if self.x.dim() != 4:
            return self
        return Sample(self.x.contiguous(memory_format=layout_of(self.x.device)), self.y)

    def __len__(self) -> int:
        return len(self.y)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Consecutive pieces of at most ``size`` images; the last may be smaller."""
        yield from zip(self.x.split(size), self.y.split(size), strict=True)
