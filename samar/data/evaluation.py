"""Loss and accuracy of a model over a set of images, in eval mode."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from samar.data.dataset import ImageSet
from samar.data.load import load_dataset
from samar.data.normalization import Normalization
from samar.models.build import build_model
from samar.models.catalog import model_info
from samar.networks.checkpoint import load_into, load_weights


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
) -> Evaluation:
    """Evaluate in fp32; the model's train/eval mode is put back afterwards.

    One transfer from the device at the end; per-image losses are summed in float64.
    """
    was_training = model.training
    model.eval()
    losses, hits = [], []
    try:
        for x, y in zip(data.images.split(batch_size), data.labels.split(batch_size), strict=True):
            logits = model(normalization(x, memory_format=memory_format))
            losses.append(F.cross_entropy(logits, y, reduction="none"))
            hits.append(logits.argmax(1) == y)
    finally:
        model.train(was_training)
    return Evaluation(
        loss=torch.cat(losses).cpu().double().mean().item(),
        correct=int(torch.cat(hits).sum().item()),
        images=len(data),
    )


def evaluate_checkpoint(
    path: Path, model: str, dataset: str, *, normalize: str = "auto"
) -> Evaluation:
    """Evaluate a weights file on the test images of a data set.

    Raises:
        CheckpointError: the file cannot be read or does not fit the model.
        ConfigError, DataError: the model or the data set is not there.
    """
    model_info(model)
    weights = load_weights(path)
    data = load_dataset(dataset, normalize=normalize)
    network = build_model(model, classes=len(data.classes), channels=data.test.channels)
    load_into(network, weights, model)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return evaluate(network, data.test, data.normalization)
