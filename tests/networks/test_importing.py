"""From a file to a kept model, and the sentences where that is not possible."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from samar.data.evaluation import evaluate
from samar.data.load import load_dataset
from samar.errors import CheckpointError, ConfigError
from samar.networks.examine import absolute, examine, usual_dataset
from samar.networks.importing import import_file, keep
from samar.networks.library import get_model, imported_models
from samar.networks.reading import read_checkpoint


def test_imported_without_choosing_anything(
    network: nn.Module, weights_file: Callable[..., Path], samar_home: Path
) -> None:
    told: list[str] = []
    model, result = import_file(
        weights_file(lambda name: f"module.{name}"), tell=lambda words, *_: told.append(words)
    )
    digits = load_dataset("digits", normalize=result.normalize)
    expected = evaluate(network, digits.test, digits.normalization)
    assert (model.correct, model.images) == (expected.correct, 797)
    assert model.loss == pytest.approx(expected.loss, rel=1e-6)
    assert (model.model, model.dataset, model.title) == ("cnn", "digits", "net")
    assert result.trials[0].normalize == result.normalize == model.normalize
    assert {"Trying normalizations", "Measuring accuracy"} == set(told)
    kept = read_checkpoint(get_model("net").weights)
    assert kept.metadata == {"model": "cnn", "dataset": "digits", "normalize": model.normalize}
    assert torch.equal(kept.tensors["linear.weight"], network.linear.weight)


def test_everything_can_be_chosen(weights_file: Callable[..., Path], samar_home: Path) -> None:
    model, result = import_file(
        weights_file(), dataset="digits", model="cnn", normalize="half", title="<i>mine</i>"
    )
    assert (model.title, model.normalize, result.trials) == ("<i>mine</i>", "half", ())
    with pytest.raises(ConfigError, match="The normalization 'odd' does not exist; choose auto"):
        import_file(weights_file(), normalize="odd")


def test_images_that_do_not_fit(
    weights_file: Callable[..., Path], samar_home: Path, network: nn.Module
) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit ResNet-20: \d+ tensors differ"):
        import_file(weights_file(), model="resnet20")
    network.linear = nn.Linear(64, 7)
    with pytest.raises(ConfigError, match="is made for 7 classes and 1 channels; say with --datas"):
        import_file(weights_file())
    with pytest.raises(CheckpointError, match="made for 7 classes, but the images of digits have "):
        import_file(weights_file(), dataset="digits")
    assert imported_models() == []


def test_what_fits_nothing(samar_home: Path, tmp_path: Path, network: nn.Module) -> None:
    state = network.state_dict()
    del state["features.0.weight"]
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(
        CheckpointError, match=r"w\.pt fits no network known here; the nearest is S"
    ):
        examine(tmp_path / "w.pt").fit()


def test_kept_for_images_that_are_elsewhere(
    weights_file: Callable[..., Path], samar_home: Path
) -> None:
    examined = examine(weights_file(), name="<b>.pt")
    model = keep(examined, examined.fit(), dataset="cifar10", normalize="cifar")
    assert (model.accuracy, model.title) == (None, "<b>")


def test_data_sets_by_what_they_are_made_for(samar_home: Path) -> None:
    assert usual_dataset(10, 1) == "digits"
    assert usual_dataset(10, 3) is None  # CIFAR-10 is not in an empty home
    assert usual_dataset(7, 1) is None
    assert absolute("digits") == "digits"
    assert Path(absolute("folder:images").removeprefix("folder:")).is_absolute()


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
