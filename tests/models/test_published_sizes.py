"""Parameter counts that others published, and the accuracy of weights that they trained."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    VGG11_BN_Weights,
    VGG16_BN_Weights,
)

from samar.data.load import load_dataset
from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.models.pyramidnet import PyramidNet
from samar.models.resnet_cifar import ZeroPadShortcut


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("name", "millions", "digits"),
    [
        # He et al. 2016, table 6
        ("resnet20", 0.27, 2),
        ("resnet32", 0.46, 2),
        ("resnet44", 0.66, 2),
        ("resnet56", 0.85, 2),
        ("resnet110", 1.7, 1),
        # Zagoruyko & Komodakis 2016, tables 4 and 5
        ("wrn-16-4", 2.7, 1),
        ("wrn-28-10", 36.5, 1),
        # Han et al. 2017, table 4, says 28.3; the published code and ours have 0.7 % more
        ("pyramidnet-110", 28.5, 1),
    ],
)
def test_papers(name, millions, digits):
    assert round(MODELS[name].parameters / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("resnet20-conv", 10, 272_474),
        ("resnet20-conv", 100, 278_324),
        ("resnet56-conv", 10, 855_770),
        ("resnet110-conv", 10, 1_730_714),
        ("wrn-28-10", 10, 36_479_194),
        ("wrn-28-10", 100, 36_536_884),
        ("pyramidnet-110", 10, 28_485_477),
        ("pyramidnet-110", 100, 28_511_307),
    ],
)
def test_pytorchcv(name, classes, expected):
    """Counts in the tables of pytorchcv (github.com/osmr/imgclsmob), an independent collection."""
    with torch.device("meta"):
        assert parameters(build_model(name, classes=classes)) == expected


def test_pyramidnet_rounds_a_fractional_widening():
    """pytorchcv's PyramidNet-110 with α = 84, where 84 / 54 channels are added per block."""
    with torch.device("meta"):
        assert parameters(PyramidNet(110, 84)) == 3_904_446


@pytest.mark.parametrize(
    ("name", "weights", "features"),
    [
        ("resnet18", ResNet18_Weights, 512),
        ("resnet34", ResNet34_Weights, 512),
        ("resnet50", ResNet50_Weights, 2048),
    ],
)
def test_torchvision_resnets_but_for_stem_and_head(name, weights, features):
    stem = (7 * 7 - 3 * 3) * 3 * 64
    head = (1000 - 10) * (features + 1)
    assert MODELS[name].parameters == weights.DEFAULT.meta["num_params"] - stem - head


@pytest.mark.parametrize(
    ("name", "weights"), [("vgg11-bn", VGG11_BN_Weights), ("vgg16-bn", VGG16_BN_Weights)]
)
def test_torchvision_vggs_but_for_the_head(name, weights):
    three_layers = sum((i + 1) * o for i, o in [(512 * 7 * 7, 4096), (4096, 4096), (4096, 1000)])
    one_layer = (512 + 1) * 10
    assert MODELS[name].parameters == weights.DEFAULT.meta["num_params"] - three_layers + one_layer


def test_zero_pad_shortcut():
    x = torch.randn(2, 3, 5, 4)
    y = ZeroPadShortcut(4)(x)
    assert y.shape == (2, 7, 3, 2)
    assert torch.equal(y[:, 2:5], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 5:].any()


@pytest.mark.shared
def test_a_public_checkpoint(shared_data: Path) -> None:
    """Idelbayev's weights load strictly and give his network's counts on the shared images.

    The ResNet-20 is imported as a file is, in tests/networks.
    """
    saved = torch.load(
        shared_data / "checkpoints" / "resnet56-4bfd9763.th", map_location="cpu", weights_only=True
    )
    model = build_model("resnet56").eval()
    weights = {key.removeprefix("module."): w for key, w in saved["state_dict"].items()}
    model.load_state_dict(weights, strict=True)
    dataset = load_dataset(f"folder:{shared_data / 'cifar10'}", normalize="imagenet")
    with torch.inference_mode():
        logits = torch.cat(
            [model(dataset.normalization(x)) for x in dataset.test.images.split(250)]
        )
    assert (logits.argmax(1) == dataset.test.labels).sum() == 1683
    assert F.cross_entropy(logits, dataset.test.labels).item() == pytest.approx(0.9156763, abs=1e-5)
