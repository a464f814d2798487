import random

import numpy as np
import pytest
import torch
from torch import nn

from samar.models.guard import undisturbed


def model() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    net[1].eval()
    net[0].bias.requires_grad_(False)
    net(torch.randn(5, 3)).sum().backward()
    return net


def state(net: nn.Module) -> list:
    tensors = [*net.parameters(), *net.buffers()]
    grads = [None if p.grad is None else (id(p.grad), p.grad.clone()) for p in net.parameters()]
    return [
        [t.detach().clone() for t in tensors],
        grads,
        [p.requires_grad for p in net.parameters()],
        [m.training for m in net.modules()],
        torch.get_rng_state(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # type: ignore[index]
    ]


def vandalize(net: nn.Module) -> None:
    assert not any(m.training for m in net.modules())
    net.train()
    net(torch.randn(5, 3)).square().sum().backward()
    for parameter in net.parameters():
        parameter.requires_grad_(True)
        parameter.data.add_(1.0)
    net.zero_grad(set_to_none=False)
    net[0].weight.grad = None


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_before(fails: bool) -> None:
    net = model()
    before = state(net)
    try:
        with undisturbed(net):
            vandalize(net)
            random.random()
            np.random.rand()
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    torch.testing.assert_close(state(net), before, rtol=0, atol=0)


def test_a_graph_from_before_can_go_backward() -> None:
    net = model()
    net[1].train()
    loss = net(torch.randn(5, 3)).square().sum()
    with undisturbed(net):
        vandalize(net)
        net[0].weight.detach().mul_(2.0)
    loss.backward()
