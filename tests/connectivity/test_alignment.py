"""Weight matching: a network's own permutation is found back, and no sum gets smaller."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from samar.connectivity.alignment import _Matching, align
from samar.connectivity.symmetry import neuron_groups, permuted
from samar.models.build import build_model


@pytest.mark.parametrize("name", ["cnn", "resnet20", "resnet20-conv", "wrn-16-4"])
def test_its_own_random_permutation_is_found_back_exactly(name: str) -> None:
    torch.manual_seed(0)
    network, images = build_model(name), torch.zeros(1, 3, 8, 8)
    groups = neuron_groups(network, images)
    random = np.random.default_rng(1)
    orders = [random.permutation(group.size) for group in groups]
    state = permuted(network.state_dict(), groups, orders)
    before = torch.random.get_rng_state()
    found = align(network, state, images)
    for tensor, expected in network.state_dict().items():
        assert torch.equal(found.state[tensor], expected), tensor
    for order, back in zip(orders, found.permutations, strict=True):
        np.testing.assert_array_equal(order[back], np.arange(len(order)))
    assert found.before > 1
    assert found.after == 0
    assert found.neurons == sum(group.size for group in groups)
    assert torch.equal(torch.random.get_rng_state(), before)


def two_layers() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    made = [
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        for _ in range(2)
    ]
    return made[0].double(), made[1].double(), torch.zeros(1, 3).double()


def test_of_all_orders_it_finds_one_that_no_single_group_can_better() -> None:
    first, second, images = two_layers()
    groups = neuron_groups(first, images)
    found = align(first, second.state_dict(), images)
    a, b = first.state_dict(), second.state_dict()

    def similarity(orders: tuple[tuple[int, ...], ...]) -> float:
        other = permuted(b, groups, [np.array(order) for order in orders])
        return float(sum((a[name] * other[name]).sum() for name in a))

    reached = similarity(tuple(tuple(order) for order in found.permutations))
    one, two = (tuple(order) for order in found.permutations)
    assert reached >= similarity(((0, 1, 2, 3), (0, 1, 2)))
    assert reached >= max(similarity((p, two)) for p in itertools.permutations(range(4))) - 1e-12
    assert reached >= max(similarity((one, p)) for p in itertools.permutations(range(3))) - 1e-12
    distance = sum(float((a[name] - found.state[name]).square().sum()) for name in a) ** 0.5
    assert found.after == pytest.approx(distance, rel=1e-12)
    assert found.after < found.before


def test_what_a_swap_gains_is_what_the_sum_gains() -> None:
    first, second, images = two_layers()
    groups = neuron_groups(first, images)
    names = [name for name, _ in first.named_parameters()]
    matching = _Matching(first.state_dict(), second.state_dict(), groups, names, lambda: None)
    start = [np.arange(4), np.arange(3)]
    gains = matching._gains(second.state_dict(), groups[0])
    swapped = np.array([1, 0, 2, 3])
    expected = gains[0, 1] + gains[1, 0] - gains[0, 0] - gains[1, 1]
    found = matching.similarity([swapped, start[1]]) - matching.similarity(start)
    assert found == pytest.approx(expected, rel=1e-10)


def test_statistics_follow_but_do_not_count() -> None:
    torch.manual_seed(0)
    first, second = build_model("cnn"), build_model("cnn")
    images = torch.zeros(1, 3, 8, 8)
    plain = align(first, second.state_dict(), images)
    state = second.state_dict()
    state["features.1.running_mean"] = torch.arange(24.0)
    moved = align(first, state, images)
    for one, other in zip(plain.permutations, moved.permutations, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        moved.state["features.1.running_mean"].numpy(), moved.permutations[0]
    )


def test_tied_weights_stay_tied_and_the_function_is_kept() -> None:
    def tied(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        layers = [nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)]
        layers[2].weight = layers[1].weight
        return nn.Sequential(*(each for layer in layers for each in (layer, nn.Tanh()))).double()

    first, second, images = tied(0), tied(1), torch.randn(6, 3).double()
    before = second(images)
    found = align(first, second.state_dict(), images)
    assert found.moved > 0
    assert torch.equal(found.state["2.weight"], found.state["4.weight"])
    second.load_state_dict(found.state)
    assert torch.allclose(second(images), before, atol=1e-12)
