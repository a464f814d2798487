"""What every network must do, whatever its family."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from samar.models.build import build_model
from samar.models.catalog import MODELS

ONE_PER_FAMILY = [
    "cnn",
    "resnet20",
    "resnet20-conv",
    "resnet18",
    "resnet50",
    "vgg11-bn",
    "wrn-16-4",
]


def images(name: str, count: int = 2) -> torch.Tensor:
    size = MODELS[name].min_size
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


class MutatingOps(TorchDispatchMode):
    """Collects the operators that write into one of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.is_mutable:
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", MODELS)
def test_smallest_image_any_layout_nothing_in_place(name, network):
    model, x = network(name), images(name)
    before = x.clone()
    with torch.no_grad(), MutatingOps() as mutating:
        logits = model(x)
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    assert mutating.names == []
    torch.testing.assert_close(x, before, rtol=0, atol=0)
    with torch.no_grad():
        channels_last = model(x.contiguous(memory_format=torch.channels_last))
    scale = logits.abs().max().item()
    torch.testing.assert_close(channels_last, logits, rtol=1e-4, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_channels_last_survives_to_the_last_convolution(name):
    model = build_model(name, channels=3).to(memory_format=torch.channels_last)
    strides = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda _, inputs: strides.append(inputs[0]))
    model(torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last))
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in strides)


@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_training_reaches_every_parameter(name):
    model = build_model(name, classes=3, channels=1).train()
    model(images(name, 4)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # torch's own use in jvp
@pytest.mark.parametrize("name", ONE_PER_FAMILY)
def test_forward_derivative_along_the_weights(name, network):
    """The tangent of ``torch.func.jvp`` equals ⟨gradient, v⟩ from reverse mode."""
    model, x = network(name), images(name)
    weights = dict(model.named_parameters())
    v = {key: torch.randn_like(w) for key, w in weights.items()}

    def loss(w):
        return torch.func.functional_call(model, w, (x,)).logsumexp(1).sum()

    _, tangent = torch.func.jvp(loss, (weights,), (v,))
    gradient = torch.func.grad(loss)(weights)
    expected = sum((gradient[key] * v[key]).sum() for key in weights)
    torch.testing.assert_close(tangent, expected, rtol=1e-3, atol=1e-3 * tangent.abs().item())


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("resnet20-conv", "layer3.0.shortcut.1.weight"),
        ("resnet18", "layer4.0.downsample.1.weight"),
        ("resnet50", "layer4.0.downsample.1.weight"),
    ],
)
def test_vmap_over_a_shortcut(name, key, network):
    """Only the shortcut is batched: adding it in place to the residual would be impossible."""
    model, x = network(name), images(name)
    points = torch.stack([model.get_parameter(key).detach() * s for s in (0.5, 1.0, 2.0)])

    def logits(weight):
        return torch.func.functional_call(model, {key: weight}, (x,))

    together = torch.func.vmap(logits)(points)
    one_by_one = torch.stack([logits(p) for p in points])
    torch.testing.assert_close(together, one_by_one, rtol=1e-4, atol=1e-4)


def test_weights_follow_the_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.nn.utils.parameters_to_vector(build_model("cnn").parameters())

    assert torch.equal(weights(3), weights(3))
    assert not torch.equal(weights(3), weights(4))
