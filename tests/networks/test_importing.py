"""From a file to a kept model, and the sentences where that is not possible."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from samar.data.evaluation import evaluate
from samar.data.load import load_dataset
from samar.errors import CheckpointError, ConfigError, SamarError
from samar.networks.checkpoint import read_checkpoint
from samar.networks.importing import import_file, inspect_file, usual_dataset
from samar.networks.inspection import Inspection
from samar.networks.library import absolute, get_model, imported_models


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
    assert list(dict.fromkeys(told)) == [
        "Reading the file",
        "Loading images",
        "Trying normalizations",
        "Measuring accuracy",
    ]
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
    told: list[Inspection] = []
    found, nothing = inspect_file(tmp_path / "w.pt", on_recognized=told.append)
    assert nothing is None
    assert told == [found]
    assert (
        "fits no network known here; the nearest is Small CNN, where 1 tensor differs"
        in found.problem
    )
    chosen, _ = inspect_file(tmp_path / "w.pt", model="resnet20")
    assert "The file does not fit ResNet-20: " in chosen.problem
    assert chosen.parameters == found.parameters > 0
    with pytest.raises(CheckpointError, match=r"w\.pt: The file fits no network known here"):
        import_file(tmp_path / "w.pt")


def test_an_inspection_survives_its_json(
    weights_file: Callable[..., Path], samar_home: Path, tmp_path: Path
) -> None:
    for model in (None, "resnet20"):
        found, _ = inspect_file(weights_file(), model=model)
        (tmp_path / "found.json").write_bytes(found.as_json())
        assert Inspection.load(tmp_path / "found.json") == found


def test_an_inspection_of_an_unknown_network_is_none(
    weights_file: Callable[..., Path], samar_home: Path, tmp_path: Path
) -> None:
    found, _ = inspect_file(weights_file(), measure=False)
    (tmp_path / "found.json").write_bytes(found.as_json().replace(b'"cnn"', b'"cnm"'))
    with pytest.raises(SamarError, match="The model 'cnm' does not exist"):
        Inspection.load(tmp_path / "found.json")


def test_a_large_network_is_measured_on_fewer_images_at_first(
    weights_file: Callable[..., Path], samar_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("samar.networks.importing.QUICK_MACS", 100 * 10_396_288 / 16)
    found, _ = inspect_file(weights_file(), quick=True)
    assert (found.images, found.of, found.trials[0].images) == (100, 797, 32)
    found, _ = inspect_file(weights_file())
    assert (found.images, found.of, found.trials[0].images) == (797, 797, 200)


def test_kept_for_images_that_are_elsewhere(
    weights_file: Callable[..., Path], samar_home: Path
) -> None:
    model, _ = import_file(
        weights_file(name="<b>.pt"), dataset="cifar10", normalize="cifar", measure=False
    )
    assert (model.accuracy, model.title, model.dataset) == (None, "<b>", "cifar10")


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
