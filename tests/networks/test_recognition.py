from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from samar.errors import CheckpointError
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.networks.checkpoint import load_weights
from samar.networks.inspection import Mismatch
from samar.networks.recognition import fit_to, made_for, network_of, recognize


def shapes_of(model: str, classes: int = 10, channels: int = 3) -> dict[str, Tensor]:
    """The tensors of a network without memory for their numbers."""
    with torch.device("meta"):
        return build_model(model, classes=classes, channels=channels).state_dict()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("classes", "channels"), [(10, 3), (100, 1)])
def test_every_network_is_told_from_all_others(model: str, classes: int, channels: int) -> None:
    tensors = shapes_of(model, classes, channels)
    for listed in (tensors, dict(sorted(tensors.items()))):  # safetensors sorts them
        fit = recognize(listed)
        assert fit.model == model
        assert fit.fits
        assert MODELS[model].title in fit.reason
        assert made_for(listed) == (classes, channels)
    assert not any(fit_to(tensors, other).fits for other in MODELS if other != model)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("resnet20-conv", {"linear": "fc", "shortcut": "downsample"}),  # Chen
        ("resnet18", {"fc": "linear", "downsample": "shortcut"}),  # kuangliu
        ("vgg16-bn", {"classifier": "fc"}),
        ("wrn-16-4", {"linear": "fc", "shortcut": "convShortcut"}),
    ],
)
@pytest.mark.parametrize("prefix", ["", "net.", "model.backbone."])
def test_other_naming_styles_fit(model: str, words: dict[str, str], prefix: str) -> None:
    def foreign(name: str) -> str:
        return prefix + ".".join(words.get(word, word) for word in name.split("."))

    tensors = {foreign(name): tensor for name, tensor in shapes_of(model).items()}
    fit = recognize(dict(sorted(tensors.items())))
    assert (fit.model, fit.fits) == (model, True)
    assert fit.names
    assert all(foreign(own) == found for own, found in fit.names.items())
    assert "other words for the same parts" in fit.reason


@pytest.mark.parametrize("rename", [str, lambda n: f"x.{n}".replace("linear", "fc")])
def test_the_network_computes_what_it_did(
    network: nn.Module, weights_file: Callable[..., Path], rename: Callable[[str], str]
) -> None:
    tensors = load_weights(weights_file(rename))
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(network_of(tensors, recognize(tensors))(images), network(images))


def test_mismatches_are_listed_tensor_by_tensor() -> None:
    tensors = shapes_of("resnet20")
    tensors["linear.weight"] = torch.zeros(10, 32)
    del tensors["layer3.2.bn2.bias"]
    tensors["extra.mean"] = torch.zeros(3)
    nearest = recognize(tensors)
    assert (nearest.model, nearest.fits) == ("resnet20", False)
    assert "nearest is ResNet-20, where 3 tensors differ" in nearest.problem
    assert set(nearest.mismatches) == {
        Mismatch("linear.weight", (10, 64), (10, 32)),
        Mismatch("layer3.2.bn2.bias", (64,), None),
        Mismatch("extra.mean", None, (3,)),
    }
    kinds = {row.kind for row in nearest.mismatches}
    assert kinds == {"other shape", "missing in the file", "not in the network"}
    with pytest.raises(CheckpointError, match=r"does not fit ResNet-20: 3 tensors differ, the fir"):
        network_of(tensors, fit_to(tensors, "resnet20"))
