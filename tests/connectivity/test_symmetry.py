"""Neurons in another order compute the same, in every architecture that samar builds."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from samar.connectivity.symmetry import neuron_groups, permuted
from samar.errors import ConfigError
from samar.models.build import build_model

SMALL = ("cnn", "resnet20", "resnet20-conv", "wrn-16-4")
WIDE = ("resnet18", "vgg11-bn")


def lively(name: str) -> nn.Module:
    """A network in float64 in which no two channels are alike, in eval mode."""
    torch.manual_seed(0)
    network = build_model(name, classes=5, channels=3).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_()
            module.running_mean.normal_()  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return network.eval()


@pytest.mark.parametrize("name", [*SMALL, *WIDE])
def test_permuted_it_computes_the_same(name: str) -> None:
    network = lively(name)
    images = torch.randn(2, 3, 32 if name in WIDE else 8, 32 if name in WIDE else 8).double()
    groups = neuron_groups(network, images)
    random = np.random.default_rng(0)
    orders = [random.permutation(group.size) for group in groups]
    state = permuted(network.state_dict(), groups, orders)
    assert any(not torch.equal(state[n], t) for n, t in network.state_dict().items())
    with torch.no_grad():
        before = network(images)
        network.load_state_dict(state)
        after = network(images)
    assert torch.allclose(after, before, rtol=1e-10, atol=1e-10 * float(before.abs().max()))


def test_every_channel_that_can_move_is_found() -> None:
    images = torch.zeros(1, 3, 8, 8)
    sizes = {n: [g.size for g in neuron_groups(build_model(n), images)] for n in SMALL}
    assert sizes["cnn"] == [24, 48, 64]
    # The stream of 16 channels, those added at each stage, and three blocks of each stage inside.
    assert sorted(sizes["resnet20"]) == sorted([16, 16, 32, *[16] * 3, *[32] * 3, *[64] * 3])
    # A convolution as shortcut frees the stages' streams from each other.
    assert sorted(sizes["resnet20-conv"]) == sorted([16, 32, 64, *[16] * 3, *[32] * 3, *[64] * 3])
    assert sorted(sizes["wrn-16-4"]) == sorted([16, 64, 128, 256, *[64, 128, 256] * 2])


def test_a_shortcut_that_pads_with_zeros_ties_the_old_channels_to_their_places() -> None:
    groups = neuron_groups(build_model("resnet20"), torch.zeros(1, 3, 8, 8))
    stream = groups[0]
    slots = {place.tensor: place.slots.ravel().tolist() for place in stream.places}
    assert slots["layer1.0.conv2.weight"] == list(range(16))
    assert slots["layer2.0.bn2.bias"] == list(range(8, 24))
    assert slots["linear.weight"] == list(range(24, 40))


def test_a_flattened_image_moves_all_pixels_of_a_channel() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 4), nn.Linear(4, 2))
    ).double()
    images = torch.randn(5, 1, 4, 4).double()
    groups = neuron_groups(network, images)
    assert [group.size for group in groups] == [3, 4]
    before = network(images)
    network.load_state_dict(permuted(network.state_dict(), groups, [[2, 0, 1], [1, 0, 3, 2]]))  # type: ignore[list-item]
    assert torch.allclose(network(images), before, atol=1e-12)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(input=x.flatten(1))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 1, groups=2)), "0 is a grouped convolution"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4)), r"no rule for 1 \(GroupNorm\)"),
        (nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(3, 2)), "1 is a linear layer over positions"),
        (Branching(), "cannot be traced"),
        (Named(), "fc is given an input by name"),
        (
            nn.Sequential(parametrizations.weight_norm(nn.Conv2d(4, 4, 1))),
            "0.weight is computed from other tensors",
        ),
    ],
)
def test_a_network_without_a_rule_is_refused_in_a_sentence(network: nn.Module, why: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot be aligned: .*{why}.*; choose align none"):
        neuron_groups(network, torch.zeros(1, 4, 3, 3))


class Tied(nn.Module):
    """Two layers, and two BatchNorms, that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.third.weight = self.second.weight
        self.norm = self.again = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.norm(self.first(x)))
        x = torch.tanh(self.third(torch.tanh(self.again(self.second(x)))))
        return self.last(x)


def test_layers_that_share_a_weight_move_together() -> None:
    torch.manual_seed(0)
    network, images = Tied().double().eval(), torch.randn(5, 4).double()
    network.norm.running_mean.normal_()  # type: ignore[union-attr]
    (group,) = groups = neuron_groups(network, images)
    assert group.size == 6
    state = permuted(network.state_dict(), groups, [np.array([3, 1, 0, 5, 2, 4])])
    assert torch.equal(state["second.weight"], state["third.weight"])
    before = network(images)
    network.load_state_dict(state)
    assert torch.allclose(network(images), before, atol=1e-12)
