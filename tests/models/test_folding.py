"""BatchNorm folded within what is differentiated: the same function of the same weights."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad

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
    at = {name: p.detach() for name, p in net.named_parameters()}

    def plain(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        return F.cross_entropy(functional_call(net, weights, (x,)), y)

    def quick(weights: dict[str, torch.Tensor]) -> torch.Tensor:
        named = {f"source.{name}": p for name, p in weights.items()}
        return F.cross_entropy(functional_call(folding, named, (x,)), y)

    for ours, theirs in zip(grad(quick)(at).values(), grad(plain)(at).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


def test_follows_the_weights_that_are_put_in() -> None:
    net, x = trained(), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    folding = Folding(net)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.9)
    torch.testing.assert_close(folding(x), net(x), rtol=1e-10, atol=1e-12)
    moved = {n: p + 0.01 for n, p in net.named_parameters()}
    torch.testing.assert_close(
        functional_call(folding, {f"source.{n}": p for n, p in moved.items()}, (x,)),
        functional_call(net, moved, (x,)),
        rtol=1e-10,
        atol=1e-12,
    )


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


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(x)) if x.sum() > 0 else x


def test_a_network_that_cannot_be_traced_is_a_plain_copy() -> None:
    net = Branching().eval()
    x = torch.rand(2, 3, 8, 8)
    folding = Folding(net)
    assert not folding.pairs
    torch.testing.assert_close(folding(x), net(x))
