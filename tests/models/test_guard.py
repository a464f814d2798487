import random

import numpy as np
import pytest
import torch
from torch import nn

from samar.errors import RunError
from samar.models.guard import undisturbed


def model() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    net[1].eval()
    net[0].bias.requires_grad_(False)
    net(torch.randn(5, 3)).sum().backward()
    return net


def state(net: nn.Module) -> list:
    tensors = [*net.parameters(), *net.buffers()]
    grads = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    return [
        [t.detach().clone() for t in tensors],
        grads,
        [p.requires_grad for p in net.parameters()],
        [m.training for m in net.modules()],
        torch.get_rng_state(),
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
            if fails:
                raise KeyError
    except KeyError:
        assert fails
    torch.testing.assert_close(state(net), before, rtol=0, atol=0)


def test_gradients_keep_their_identity() -> None:
    net = model()
    grads = [p.grad for p in net.parameters()]
    with undisturbed(net):
        vandalize(net)
    assert all(p.grad is g for p, g in zip(net.parameters(), grads, strict=True))


def test_a_graph_from_before_can_go_backward() -> None:
    net = model()
    net[1].train()
    loss = net(torch.randn(5, 3)).square().sum()
    with undisturbed(net):
        vandalize(net)
        net[0].weight.detach().mul_(2.0)
    loss.backward()


def test_random_numbers_of_python_and_numpy_are_as_before() -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]
    with undisturbed(model()):
        random.random()
        np.random.rand()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index]


def test_a_buffer_that_takes_no_values_is_no_hindrance() -> None:
    net = model()
    net.register_buffer("ones", torch.ones(1).expand(4))
    before = state(net)
    with undisturbed(net):
        vandalize(net)
    torch.testing.assert_close(state(net), before, rtol=0, atol=0)


def test_what_cannot_be_put_back_is_told_and_seen_by_autograd() -> None:
    net = model()
    net.register_buffer("ones", torch.ones(1).expand(4))
    before = state(net)
    loss = net(torch.randn(5, 3)).square().sum()
    guard = undisturbed(net)
    guard.__enter__()
    net.ones.data = torch.zeros(1).expand(4)  # type: ignore[union-attr]
    vandalize(net)
    with pytest.raises(RunError, match=r"ones does not take its old values; load"):
        guard.__exit__(None, None, None)
    assert [m.training for m in net.modules()] == before[3]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
