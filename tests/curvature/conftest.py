"""A network small enough for its dense Hessian."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from samar.data.sample import Sample


@pytest.fixture
def network() -> nn.Module:
    """62 float64 parameters, BatchNorm with running statistics of its own, left in train mode."""
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    with torch.no_grad():
        net(torch.randn(32, 1, 4, 4, dtype=torch.float64))
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net


@pytest.fixture
def sample() -> Sample:
    return Sample(torch.randn(23, 1, 4, 4, dtype=torch.float64), torch.randint(2, (23,)))


@pytest.fixture
def wide() -> tuple[nn.Module, Sample]:
    """1,224 float64 parameters: too many for a first basis to span."""
    net = nn.Sequential(nn.Linear(10, 64), nn.Tanh(), nn.Linear(64, 8), nn.Tanh()).double()
    return net, Sample(torch.randn(60, 10, dtype=torch.float64), torch.randint(8, (60,)))


@pytest.fixture
def dense() -> Callable[[nn.Module, Sample], Tensor]:
    """The whole Hessian, (n, n), in eval mode, by autograd's own second derivative."""

    def dense(net: nn.Module, images: Sample) -> Tensor:
        named = {name: p.detach() for name, p in net.named_parameters()}
        sizes = [p.numel() for p in named.values()]

        def loss(flat: Tensor) -> Tensor:
            pieces = zip(named.items(), flat.split(sizes), strict=True)
            at = {name: piece.view(p.shape) for (name, p), piece in pieces}
            return F.cross_entropy(functional_call(net, at, (images.x,)), images.y)

        mode = net.training
        net.eval()
        point = torch.cat([p.reshape(-1) for p in named.values()])
        matrix = torch.autograd.functional.hessian(loss, point)
        net.train(mode)
        return matrix

    return dense
