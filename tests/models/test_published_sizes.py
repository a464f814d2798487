"""Parameter counts against those that others published."""

import pytest
import torch
from torch import nn
from torchvision.models import (
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    VGG11_BN_Weights,
    VGG16_BN_Weights,
)

from samar.models.build import build_model
from samar.models.catalog import MODELS
from samar.models.pyramidnet import PyramidNet


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


def test_pyramidnet_paper():
    """Han et al. 2017, table 4 says 28.3M; the published code and ours have 0.7 % more."""
    assert MODELS["pyramidnet-110"].parameters / 1e6 == pytest.approx(28.3, rel=0.01)


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
