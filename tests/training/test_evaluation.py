from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from samar.data.dataset import ImageSet
from samar.data.evaluation import evaluate
from samar.data.normalization import Normalization
from samar.jobs.store import Store
from samar.networks.load import load_network


def test_equals_one_float64_pass() -> None:
    images = ImageSet(
        torch.randint(0, 256, (37, 3, 8, 8), dtype=torch.uint8), torch.randint(0, 5, (37,))
    )
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    normalization = Normalization((0.5,) * 3, (0.25,) * 3)
    found = evaluate(model, images, normalization, batch_size=10)
    assert model.training
    model.double().eval()
    logits = model((images.images.double() / 255 - 0.5) / 0.25)
    assert found.loss == pytest.approx(F.cross_entropy(logits, images.labels).item(), rel=1e-5)
    assert found.correct == int((logits.argmax(1) == images.labels).sum())
    assert found.accuracy == found.correct / 37


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "model", "correct", "loss"),
    [
        ("resnet20-12fca82f.th", "resnet20", 1609, 0.8873914),
        ("resnet56-4bfd9763.th", "resnet56", 1683, 0.9156763),
    ],
)
def test_public_checkpoints(
    samar_home: Path, shared_data: Path, file: str, model: str, correct: int, loss: float
) -> None:
    network = load_network(
        Store(),
        str(shared_data / "checkpoints" / file),
        model=model,
        dataset=f"folder:{shared_data / 'cifar10'}",
        normalize="imagenet",
    )
    told: list[tuple[int, int]] = []
    found = evaluate(
        network.model,
        network.dataset.test,
        network.dataset.normalization,
        progress=lambda *at: told.append(at),
    )
    assert (found.correct, found.images) == (correct, 2000)
    assert found.loss == pytest.approx(loss, abs=2e-6)
    assert (told[0], told[-1]) == ((256, 2000), (2000, 2000))
