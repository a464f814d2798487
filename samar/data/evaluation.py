"""Loss and accuracy of a model over a set of images, in eval mode."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samar.data.dataset import ImageSet
from samar.data.normalization import Normalization


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


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: ImageSet,
    normalization: Normalization,
    *,
    batch_size: int = 256,
    memory_format: torch.memory_format = torch.channels_last,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate in fp32; the model's train/eval mode is put back afterwards.

    One transfer from the device at the end; per-image losses are summed in float64.

    Args:
        progress: called after every batch with images done and images in all.
    """
    was_training = model.training
    model.eval()
    losses: list[Tensor] = []
    hits: list[Tensor] = []
    try:
        for x, y in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
            logits = model(normalization(x, memory_format=memory_format))
            losses.append(F.cross_entropy(logits, y, reduction="none"))
            hits.append(logits.argmax(1) == y)
            if progress is not None:
                progress(min(len(hits) * batch_size, len(data)), len(data))
    finally:
        model.train(was_training)
    return Evaluation(
        loss=torch.cat(losses).cpu().double().mean().item(),
        correct=int(torch.cat(hits).sum().item()),
        images=len(data),
    )
