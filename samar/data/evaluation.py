"""Loss and accuracy of a model over a set of images, in eval mode."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization
from samar.device.memory import halving
from samar.device.placement import is_gpu, layout_of
from samar.device.precision import full_precision
from samar.device.waiting import on_host

BATCH_SIZE = {False: 256, True: 2048}
"""Images a pass, on a CPU and on a GPU, which needs more of them to be busy."""


@dataclass(frozen=True)
class Evaluation:
    """Mean cross-entropy and count of correct predictions over ``images`` images."""

    loss: float
    correct: int
    images: int

    @property
    def accuracy(self) -> float:
        """Fraction of images classified correctly."""
        return self.correct / self.images


@torch.no_grad()
@full_precision()
def evaluate(
    model: nn.Module,
    data: ImageSet,
    normalization: Normalization,
    *,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate in full float32; the model's train/eval mode is put back afterwards.

    One transfer from the device at the end; per-image losses are summed in float64.

    Args:
        batch_size: images a pass, what suits the device if None; fewer where memory is short.
        progress: called after every batch with images done and images in all.
    """
    device = data.images.device
    layout = layout_of(device)

    def attempt(size: int) -> tuple[Tensor, Tensor]:
        losses: list[Tensor] = []
        hits: list[Tensor] = []
        for x, y in zip(data.images.split(size), data.labels.split(size), strict=True):
            logits = model(normalization(x, memory_format=layout))
            losses.append(F.cross_entropy(logits, y, reduction="none"))
            hits.append(logits.argmax(1) == y)
            if progress is not None:
                progress(min(len(hits) * size, len(data)), len(data))
        return on_host(torch.cat(losses)), on_host(torch.cat(hits))

    was_training = model.training
    model.eval()
    try:
        (losses, hits), _ = halving(attempt, batch_size or BATCH_SIZE[is_gpu(device)])
    finally:
        model.train(was_training)
    return Evaluation(losses.double().mean().item(), int(hits.sum().item()), len(data))
