from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from samar.data.catalog import NORMALIZATIONS
from samar.data.dataset import Dataset
from samar.data.load import load_dataset
from samar.data.normalization import Normalization
from samar.networks.checkpoint import load_weights
from samar.networks.normalization import batchnorm_distance, candidates, try_normalizations
from samar.networks.recognition import network_of, recognize


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@torch.inference_mode()
def teach(network: nn.Module, images: torch.Tensor, normalization: Normalization) -> None:
    """Let the first BatchNorm collect statistics, as in training."""
    convolution, layer = network.features[0], network.features[1]
    layer.momentum = 1.0
    layer.train()(convolution(normalization(images)))
    layer.eval()


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_ties_are_broken_by_what_the_first_batchnorm_learned(
    network: nn.Module, digits: Dataset, normalize: str
) -> None:
    """An untrained network guesses under every normalization, so only its statistics can tell."""
    network.linear.weight.data.zero_()
    taught = candidates(digits)[normalize]
    teach(network, digits.train.images, taught)
    chosen, *others = try_normalizations(network, digits, images=200)
    assert chosen.tied
    assert chosen.distance < 0.02
    assert candidates(digits)[chosen.normalize] == taught
    assert all(trial.distance >= chosen.distance for trial in others)


def test_the_distance_is_the_divergence_of_two_normal_distributions(network: nn.Module) -> None:
    pixels = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8)
    normalization = Normalization((0.3,), (0.4,))
    layer = network.features[1]
    layer.eps = 0.0
    z = network.features[0](normalization(pixels)).double()
    now = Normal(z.mean((0, 2, 3)), z.std((0, 2, 3)))
    learned = Normal(layer.running_mean.double(), layer.running_var.double().sqrt())
    expected = kl_divergence(now, learned).mean().item()
    found = batchnorm_distance(network, pixels, normalization)
    assert found is not None
    assert found <= expected * (1 + 1e-6)  # the smaller one of shifted and unshifted images
    layer.running_mean.copy_(now.mean)
    layer.running_var.copy_(now.variance)
    assert batchnorm_distance(network, pixels, normalization) == pytest.approx(0, abs=1e-6)
    assert not layer._forward_pre_hooks


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> Dataset:
    return load_dataset(f"folder:{shared_data / 'cifar10'}")


@pytest.mark.shared
@pytest.mark.parametrize(("file", "images"), [("resnet20-12fca82f", 64), ("resnet56-4bfd9763", 32)])
def test_the_public_checkpoints_are_found_to_want_imagenets(
    shared_data: Path, photographs: Dataset, file: str, images: int
) -> None:
    tensors = load_weights(shared_data / "checkpoints" / f"{file}.th")
    network = network_of(tensors, recognize(tensors))
    chosen, *others = try_normalizations(network, photographs, images=images)
    assert chosen.normalize == "imagenet"
    assert {trial.normalize for trial in others} == {*NORMALIZATIONS, "auto"} - {
        "imagenet",
        "digits",
    }
    assert all(trial.distance > 2 * chosen.distance for trial in others)
