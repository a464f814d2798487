"""The real network that many landscapes on the web show."""

from pathlib import Path

import pytest
import torch

from samar.data.evaluation import evaluate
from samar.jobs.store import Store
from samar.landscapes.sampler import sampler_of
from samar.landscapes.settings import LandscapeSettings
from samar.networks.load import load_network

pytestmark = pytest.mark.shared


def test_the_centre_is_the_models_own_loss(shared_data: Path, samar_home: Path) -> None:
    network = load_network(
        Store(),
        str(shared_data / "checkpoints" / "resnet20-12fca82f.th"),
        model="resnet20",
        dataset=f"folder:{shared_data / 'cifar10'}",
        normalize="imagenet",
    )
    sampler = sampler_of(LandscapeSettings(images=128), network.model, network.dataset)
    evaluator, frame = sampler.evaluator, sampler.frame
    images = network.dataset.test.evenly_spaced(128)
    own = evaluate(network.model, images, network.dataset.normalization)
    centre = evaluator.at(frame.at((0.0, 0.0)))
    assert centre.loss == pytest.approx(own.loss, abs=1e-6)
    assert centre.accuracy == own.accuracy
    for axis in frame.axes:
        for d, w in zip(axis, network.model.parameters(), strict=True):
            if w.dim() > 1:
                ratio = d.double().flatten(1).norm(dim=1) / w.double().flatten(1).norm(dim=1)
                torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0, atol=1e-6)
