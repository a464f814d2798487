"""From a file to a kept model, and the sentences where that is not possible."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from samar.data.evaluation import evaluate
from samar.data.load import load_dataset
from samar.errors import CheckpointError, ConfigError
from samar.networks.checkpoint import read_checkpoint
from samar.networks.importing import import_file, inspect_file
from samar.networks.library import get_model, imported_models


def test_imported_without_choosing_anything(
    network: nn.Module, weights_file: Callable[..., Path], samar_home: Path
) -> None:
    model, result = import_file(weights_file(lambda name: f"module.{name}"))
    digits = load_dataset("digits", normalize=result.normalize)
    expected = evaluate(network, digits.test, digits.normalization)
    assert (model.correct, model.images) == (expected.correct, 797)
    assert model.loss == pytest.approx(expected.loss, rel=1e-6)
    assert (model.model, model.dataset, model.title) == ("cnn", "digits", "net")
    assert result.trials[0].normalize == result.normalize == model.normalize
    kept = read_checkpoint(get_model("net").weights)
    assert kept.metadata == {"model": "cnn", "dataset": "digits", "normalize": model.normalize}
    assert torch.equal(kept.tensors["linear.weight"], network.linear.weight)


def test_images_that_do_not_fit(
    weights_file: Callable[..., Path], samar_home: Path, network: nn.Module
) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit ResNet-20: \d+ tensors differ"):
        import_file(weights_file(), model="resnet20")
    network.linear = nn.Linear(64, 7)
    with pytest.raises(
        ConfigError, match="No images on this machine are of 7 classes and 1 channel, as"
    ):
        import_file(weights_file())
    with pytest.raises(CheckpointError, match="made for 7 classes, but the images of digits have "):
        import_file(weights_file(), dataset="digits")
    assert imported_models() == []


def test_what_fits_nothing(samar_home: Path, tmp_path: Path, network: nn.Module) -> None:
    state = network.state_dict()
    del state["features.0.weight"]
    torch.save(state, tmp_path / "w.pt")
    found, nothing = inspect_file(tmp_path / "w.pt")
    assert nothing is None
    assert "no network known here; the nearest is Small CNN, where 1 tensor d" in found.problem
    with pytest.raises(CheckpointError, match=r"w\.pt: The file fits no network known here"):
        import_file(tmp_path / "w.pt")


@pytest.mark.shared
def test_a_public_checkpoint_as_it_is(samar_home: Path, shared_data: Path) -> None:
    model, result = import_file(
        shared_data / "checkpoints" / "resnet20-12fca82f.th",
        dataset=f"folder:{shared_data / 'cifar10'}",
        normalize="imagenet",
    )
    assert (model.model, model.normalize) == ("resnet20", "imagenet")
    assert (model.correct, model.images) == (1609, 2000)
    assert model.loss == pytest.approx(0.8873914, abs=1e-6)
    assert result.of == 2000
