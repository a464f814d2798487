"""The plane through two networks and a bend, where there is one."""

import torch
from torch import nn

from samar.connectivity.measure import plane_frame
from samar.landscapes.frame import weights_of


def test_two_networks_of_the_same_weights_span_no_plane_with_a_bend() -> None:
    network = nn.Linear(3, 2)
    bend = tuple(weight + torch.randn_like(weight) for weight in weights_of(network))
    assert plane_frame(network, weights_of(network), bend) is None
