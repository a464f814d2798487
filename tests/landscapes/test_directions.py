import math

import pytest
import torch

from samar.landscapes.frame import random_direction, random_frame, weights_of


def filters(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.double().flatten(1).norm(dim=1)


def test_filter_normalization_is_per_filter(network) -> None:
    """Not per tensor, as in a public tool of the same name."""
    net = network()
    frame = random_frame(net, seed=3)
    for axis in frame.axes:
        for d, w in zip(axis, net.parameters(), strict=True):
            if w.dim() > 1:
                torch.testing.assert_close(filters(d), filters(w.detach()), rtol=1e-6, atol=0)
                assert filters(d).std() > 0
            else:
                assert not d.any(), "biases and BatchNorm must not move"


@pytest.mark.parametrize(("kind", "power"), [("layer", 1), ("raw", 0)])
def test_other_normalizations(network, kind: str, power: int) -> None:
    weights = weights_of(network())
    drawn = random_direction(weights, torch.Generator().manual_seed(0), kind)
    plain = random_direction(weights, torch.Generator().manual_seed(0), "raw")
    for d, p, w in zip(drawn, plain, weights, strict=True):
        if w.dim() > 1:
            scale = (w.double().norm() / p.double().norm()) ** power
            torch.testing.assert_close(d, (p.double() * scale).to(d.dtype))


def test_directions_are_gaussian_and_independent(network) -> None:
    """Not uniform on [0, 1), and not the same one twice."""
    frame = random_frame(network(), kind="raw", seed=0)
    first, second = (torch.cat([d.flatten() for d in axis if d.any()]) for axis in frame.axes)
    bound = 5 / math.sqrt(len(first))
    assert abs(first.mean()) < bound
    assert abs(first.std() - 1) < bound
    assert first.min() < -2
    assert abs(frame.describe()["cosine"]) < bound
    assert abs(first @ second / (first.norm() * second.norm())) < bound


def test_a_seed_means_a_direction(network) -> None:
    net = network()
    one, same, other = (random_frame(net, seed=seed).axes[1] for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one[0], other[0])


def test_unknown_normalization(network) -> None:
    with pytest.raises(ValueError, match="must be filter, layer or raw, got 'batch'"):
        random_direction(weights_of(network()), torch.Generator(), "batch")
