import math
import weakref

import pytest
import torch
from torch import nn

from samar.curvature import product
from samar.curvature.layers import layer_curvature
from samar.curvature.product import hessian_of
from samar.curvature.solvers.trace import hessian_trace
from samar.data.sample import Sample
from samar.errors import ConfigError


class Square(torch.autograd.Function):
    """x² the old way, which torch.func refuses."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return 2 * ctx.saved_tensors[0] * grad


class SquareModule(nn.Module):
    def forward(self, x):
        return Square.apply(x)


@pytest.mark.parametrize("kept", [product.KEPT_BYTES, 0])
@pytest.mark.parametrize("batch_size", [23, 7])
def test_equals_the_dense_hessian(network, sample, dense, kept, batch_size, monkeypatch) -> None:
    expected = dense(network, sample)
    monkeypatch.setattr(product, "KEPT_BYTES", kept)
    with hessian_of(network, sample, batch_size=batch_size) as hessian:
        assert hessian.kept == (math.ceil(len(sample) / batch_size) if kept else 0)
        eye = torch.eye(len(hessian), dtype=torch.float64)
        found = torch.stack([hessian @ v for v in eye])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_keeps_the_graphs_that_fit_and_gives_them_back(network, sample, monkeypatch) -> None:
    """The others are recomputed, and the result is the same; the graphs go with the operator."""
    with hessian_of(network, sample, batch_size=6) as whole:
        expected, size = whole @ whole.gradient, whole._graphs[0].bytes
        assert whole.kept == 4
    monkeypatch.setattr(product, "KEPT_BYTES", 2 * size + 1)
    with hessian_of(network, sample, batch_size=6) as part:
        assert part.kept == 2
        torch.testing.assert_close(part @ part.gradient, expected, rtol=1e-10, atol=1e-12)
        gone = [weakref.ref(tensor) for graph in part._graphs for tensor in graph.gradient]
    del part
    assert not any(reference() is not None for reference in gone)


@pytest.mark.parametrize("kept", [product.KEPT_BYTES, 0])
def test_a_parameter_that_the_loss_does_not_use(monkeypatch, kept) -> None:
    monkeypatch.setattr(product, "KEPT_BYTES", kept)
    net = nn.Linear(3, 2)
    images = Sample(torch.randn(5, 3), torch.randint(2, (5,)))
    with hessian_of(net, images) as hessian:
        expected = hessian @ hessian.gradient
    net.idle = nn.Parameter(torch.ones(4))
    with hessian_of(net, images) as hessian:
        found = hessian @ hessian.gradient
    assert not found[-4:].any()
    torch.testing.assert_close(found[:-4], expected)


def test_the_layout_of_a_live_model_changes_nothing() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 2))
    images = Sample(torch.randn(6, 3, 8, 8), torch.randint(2, (6,)))
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        net.to(memory_format=layout)
        laid_out = Sample(images.x.contiguous(memory_format=layout), images.y)
        with hessian_of(net, laid_out) as hessian:
            found.append(hessian @ hessian.gradient)
    assert torch.equal(*found)


def test_an_operation_that_torch_func_refuses(dense, monkeypatch) -> None:
    monkeypatch.setattr(product, "KEPT_BYTES", 0)
    net = nn.Sequential(nn.Linear(4, 3), SquareModule(), nn.Linear(3, 2)).double()
    smooth = nn.Sequential(nn.Linear(4, 3), _Power(), nn.Linear(3, 2)).double()
    smooth.load_state_dict(net.state_dict())
    images = Sample(torch.randn(9, 4, dtype=torch.float64), torch.randint(2, (9,)))
    with hessian_of(net, images, batch_size=4) as hessian:
        vector = torch.randn(len(hessian), dtype=torch.float64)
        found = hessian @ vector
    torch.testing.assert_close(found, dense(smooth, images) @ vector, rtol=1e-10, atol=1e-12)


class _Power(nn.Module):
    def forward(self, x):
        return x * x


def test_blocks_and_frozen_parameters(network, sample, dense) -> None:
    whole = dense(network, sample)
    with hessian_of(network, sample) as hessian:
        layers, names = hessian.layers, hessian.parameters_of("4")
    assert list(layers) == ["0", "1", "4"]
    part = layers["4"]
    with hessian_of(network, sample, only=names) as block:
        found = torch.stack([block @ v for v in torch.eye(len(block), dtype=torch.float64)])
    torch.testing.assert_close(found, whole[part, part], rtol=1e-10, atol=1e-12)
    network[0].requires_grad_(False)
    network[1].requires_grad_(False)
    with hessian_of(network, sample) as frozen:
        assert len(frozen) == len(found)
        torch.testing.assert_close(frozen @ found[0], found @ found[0], rtol=1e-10, atol=1e-12)


class _OwnParameter(nn.Module):
    """With a parameter of its own, and a child of the name that such parameters once went by."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(3, dtype=torch.float64))
        self.model = nn.Linear(4, 3).double()

    def forward(self, x):
        return self.model(x) + self.shift


def test_parameters_of_the_network_itself_are_a_layer_of_their_own(dense) -> None:
    net = _OwnParameter()
    images = Sample(torch.randn(30, 4, dtype=torch.float64), torch.randint(3, (30,)))
    whole = dense(net, images)
    with hessian_of(net, images) as hessian:
        assert {name: part.stop - part.start for name, part in hessian.layers.items()} == {
            "(network)": 3,
            "model": 15,
        }
        assert hessian.parameters_of("(network)") == ("shift",)
        found = hessian_trace(hessian, products=3 * len(hessian))
    trace = whole.trace().item()
    assert found.total.value == pytest.approx(trace)
    assert sum(each.value for each in found.layers.values()) == pytest.approx(trace)
    layers = layer_curvature(net, images, found)
    assert [(layer.name, layer.parameters) for layer in layers] == [("(network)", 3), ("model", 15)]


def test_loss_gradient_and_offsets(network, sample) -> None:
    network.eval()
    expected = nn.functional.cross_entropy(network(sample.x), sample.y)
    gradient = torch.autograd.grad(expected, list(network.parameters()))
    with hessian_of(network, sample, batch_size=10) as hessian:
        assert hessian.loss == pytest.approx(expected.item(), rel=1e-12)
        flat = torch.cat([g.reshape(-1) for g in gradient])
        torch.testing.assert_close(hessian.gradient, flat)
        step = 1e-3 * torch.randn(len(hessian), dtype=torch.float64)
        moved = hessian.loss_at(step)
    with torch.no_grad():
        nn.utils.vector_to_parameters(hessian.point + step, network.parameters())
        assert moved == pytest.approx(nn.functional.cross_entropy(network(sample.x), sample.y))


def test_leaves_a_live_model_alone(network, sample) -> None:
    network(sample.x).sum().backward()
    before = [t.detach().clone() for t in (*network.parameters(), *network.buffers())]
    gradients = [p.grad.clone() for p in network.parameters()]
    with hessian_of(network, sample) as hessian:
        hessian @ hessian.gradient
    assert network.training
    after = [*network.parameters(), *network.buffers()]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    now = [p.grad for p in network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(now, gradients, strict=True))


@pytest.mark.parametrize("kept", [product.KEPT_BYTES, 0])
def test_every_batch_can_be_the_last(network, sample, monkeypatch, kept) -> None:
    """While the operator is built, in a product, and in a loss."""
    monkeypatch.setattr(product, "KEPT_BYTES", kept)
    heard: list[int] = []

    def on_batch() -> None:
        heard.append(len(heard))
        if len(heard) == limit:
            raise InterruptedError

    limit = 2
    with (
        pytest.raises(InterruptedError),
        hessian_of(network, sample, batch_size=6, on_batch=on_batch),
    ):
        pass
    assert network.training
    heard.clear()
    limit = 6
    with (
        hessian_of(network, sample, batch_size=6, on_batch=on_batch) as hessian,
        pytest.raises(InterruptedError),
    ):
        hessian @ hessian.gradient
    heard.clear()
    limit = 3
    with pytest.raises(InterruptedError):
        hessian.loss_at(hessian.gradient)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("frozen", "0 trainable parameters; set requires_grad=True"),
        ("empty", "There are 0 images"),
        ("diverged", "The loss is nan at these weights"),
    ],
)
def test_problems_are_one_sentence(network, sample, spoil, message) -> None:
    if spoil == "frozen":
        network.requires_grad_(False)
    if spoil == "empty":
        sample = Sample(sample.x[:0], sample.y[:0])
    if spoil == "diverged":
        network[4].weight.data.fill_(float("nan"))
    with pytest.raises(ConfigError, match=message), hessian_of(network, sample):
        pass


def test_a_product_that_overflows_is_refused() -> None:
    net = nn.Linear(2, 2)
    images = Sample(torch.full((1, 2), 1e30), torch.tensor([0]))
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    with hessian_of(net, images) as hessian, pytest.raises(ConfigError, match="not finite"):
        hessian @ torch.arange(6.0)
