"""BatchNorm folded within what is differentiated: the same function of the same weights."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn.utils import parametrizations, prune

import samar
from samar.models.build import build_model
from samar.models.folding import Folding


def trained(name: str = "resnet20") -> nn.Module:
    """With statistics and affine weights that are not the initial ones."""
    torch.manual_seed(0)
    net = build_model(name).double()
    with torch.no_grad():
        net(torch.randn(8, 3, 16, 16, dtype=torch.float64))
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


def test_outputs_and_derivatives_are_the_networks_own() -> None:
    net, x = trained(), torch.randn(4, 3, 16, 16, dtype=torch.float64)
    y = torch.randint(10, (4,))
    folding = Folding(net)
    assert len(folding.pairs) == sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    torch.testing.assert_close(folding(x), net(x), rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.9)
    torch.testing.assert_close(folding(x), net(x), rtol=1e-10, atol=1e-12)
    at = {name: p.detach() for name, p in net.named_parameters()}

    def plain(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(functional_call(net, weights, (x,)), y)

    def quick(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        named = {f"source.{name}": p for name, p in weights.items()}
        return F.cross_entropy(functional_call(folding, named, (x,)), y)

    for ours, theirs in zip(grad(quick)(at).values(), grad(plain)(at).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_what_a_trace_would_lose_is_not_traced() -> None:
    net, x = trained(), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    handle = net.register_forward_hook(lambda module, inputs, output: 2 * output)
    hooked = Folding(net)
    assert not hooked.pairs
    torch.testing.assert_close(hooked(x), net(x))
    handle.remove()
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    norm.register_forward_hook(lambda module, inputs, output: 2 * output)
    some = Folding(net)
    assert len(some.pairs) == sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) - 1
    torch.testing.assert_close(some(x), net(x), rtol=1e-10, atol=1e-12)


def blocks(*, more: Callable[[nn.Conv2d], object] = lambda convolution: None) -> nn.Sequential:
    """Two convolutions of one shape with BatchNorm, to the first of which something was done."""
    first, second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
    more(first)
    each = (first, nn.BatchNorm2d(3), nn.ReLU(), second, nn.BatchNorm2d(3), nn.ReLU())
    return nn.Sequential(*each, nn.Flatten(), nn.Linear(108, 4))


def tied() -> nn.Module:
    net = blocks()
    net[3].weight = net[0].weight
    return net


class Around(nn.Module):
    """Blocks within a network whose own code does more."""

    def __init__(self) -> None:
        super().__init__()
        self.body = blocks()


class WeightTwice(Around):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x + F.conv2d(x, self.body[0].weight, padding=1))


class NoScale(Around):
    def forward(self, x: Tensor, scale: Tensor | None = None) -> Tensor:
        return self.body(2 * x if scale is None else x * scale)


UNUSUAL: dict[str, Callable[[], nn.Module]] = {
    "weight norm": lambda: blocks(more=parametrizations.weight_norm),
    "pruned": lambda: blocks(more=lambda c: prune.random_unstructured(c, "weight", 0.5)),
    "tied weights": tied,
    "a weight used twice": WeightTwice,
    "no scale given": NoScale,
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_network_is_measured_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    net = UNUSUAL[name]()
    for _ in range(3):
        net(torch.randn(16, 3, 6, 6) + 1)
    net.eval()
    x, y = torch.randn(16, 3, 6, 6), torch.randint(4, (16,))
    loss = F.cross_entropy(net(x), y).item()
    plane = samar.landscape(net, data=(x, y), points=5, directions="raw", progress=False)
    assert plane.loss[2, 2] == pytest.approx(loss, rel=1e-5)
    assert plane.manifest["model_loss"] == pytest.approx(loss, rel=1e-5)
    found = samar.hessian(net, data=(x, y), top=1, tol=1e-4, progress=False)
    weights = [p.requires_grad_() for p in net.parameters()]
    gradient = torch.autograd.grad(F.cross_entropy(net(x), y), weights, create_graph=True)
    v = list(torch.split(found.spectrum.vectors[0], [p.numel() for p in weights]))
    inner = torch.stack([g.flatten() @ part for g, part in zip(gradient, v, strict=True)]).sum()
    product = torch.cat([h.reshape(-1) for h in torch.autograd.grad(inner, weights)])
    value = found.spectrum.values[0]
    assert (product - value * torch.cat(v)).norm() < 2e-3 * abs(value)
