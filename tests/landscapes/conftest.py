"""Small networks and images on which a landscape takes milliseconds."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from samar.data.sample import Sample
from samar.models.build import build_model


@pytest.fixture
def sample() -> Sample:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(40, 3, 8, 8, generator=generator)
    return Sample(x, torch.arange(40) % 4)


@pytest.fixture
def network(sample: Sample) -> Callable[..., nn.Module]:
    """``network(name)``: a network with uneven weights and running statistics, in train mode."""

    def network(name: str = "cnn", seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        net = build_model(name, classes=4)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        net(sample.x)
        return net

    return network


@pytest.fixture
def bowl() -> Callable[..., nn.Module]:
    """A network whose loss is known: two logits 0 and z, so the loss of class 0 is log(1 + e^z)."""

    class Bowl(nn.Module):
        def __init__(self, a: float, b: float) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor([[a]], dtype=torch.float64))
            self.b = nn.Parameter(torch.tensor([[b]], dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            z = (self.a**2 + 3 * self.b**2).expand(len(x), 1)
            return torch.cat([torch.zeros_like(z), z], 1)

    return Bowl
