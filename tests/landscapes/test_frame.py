import numpy as np
import pytest
import torch

from samar.errors import ConfigError
from samar.landscapes.frame import Frame, frame_between, given_frame, random_frame, weights_of


def flat(tensors) -> torch.Tensor:
    return torch.cat([t.double().flatten() for t in tensors])


def test_points_start_from_the_untouched_origin(network) -> None:
    net = network()
    frame = random_frame(net)
    for point in [(0.3, -0.7), (1.0, 1.0), (0.0, 0.0)] * 3:
        expected = flat(frame.origin) + sum(
            c * flat(d) for c, d in zip(point, frame.axes, strict=True)
        )
        torch.testing.assert_close(flat(frame.at(point)), expected, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(frame.at((0, 0)), net.parameters(), strict=True))


def test_projection_and_distance_on_skew_axes(network) -> None:
    net = network()
    one, two = random_frame(net, seed=1).axes
    skew = tuple(a + 2 * b for a, b in zip(one, two, strict=True))
    frame = given_frame(net, [one, skew], ["a", "b"])
    normal = random_frame(net, seed=2).axes[0]
    basis, _ = torch.linalg.qr(torch.stack([flat(one), flat(skew)], 1))
    off = flat(normal) - basis @ (basis.T @ flat(normal))
    pieces = off.split([t.numel() for t in frame.origin])
    there = [w + p.view_as(w) for w, p in zip(frame.at((0.25, -0.5)), pieces, strict=True)]
    coordinates, distance = frame.project(there)
    np.testing.assert_allclose(coordinates, (0.25, -0.5), atol=1e-5)
    assert distance == pytest.approx(float(off.norm()), rel=1e-5)


@pytest.mark.parametrize("dim", [1, 2])
def test_the_ball_is_round_in_weight_space(network, dim: int) -> None:
    frame = random_frame(network(), dim=dim)
    edge = frame.ball(0.3, 12)
    for point in edge:
        offset = flat(frame.at(point.tolist())) - flat(frame.origin)
        assert float(offset.norm()) == pytest.approx(0.3, rel=1e-4)
    assert len(edge) == (2 if dim == 1 else 12)


def test_between_reaches_the_other_networks(network) -> None:
    first, second, third = (network(seed=seed) for seed in range(3))
    frame = frame_between(first, second.state_dict(), third.state_dict())
    for point, net in (((1, 0), second), ((0, 1), third)):
        torch.testing.assert_close(flat(frame.at(point)), flat(net.parameters()).detach())
    with pytest.raises(ValueError, match="network 2 must differ from the first"):
        frame_between(first, first.state_dict())


def test_bad_axes(network) -> None:
    net = network()
    axis = weights_of(net)
    with pytest.raises(ValueError, match="one or two, each with a label"):
        Frame(axis, (), ())
    with pytest.raises(ValueError, match="shaped like the parameters"):
        given_frame(net, [axis[:2]], ["a"])
    with pytest.raises(ConfigError, match="two that are parallel"):
        given_frame(net, [axis, axis], ["a", "b"]).ball(0.1)
