import pytest
import torch

from samar.curvature.layers import layer_curvature
from samar.curvature.product import hessian_of
from samar.curvature.solvers.trace import hessian_trace
from samar.errors import ConfigError


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_within_two_standard_errors_as_a_whole_and_by_layer(network, sample, dense, seed) -> None:
    exact = dense(network, sample).diag()
    with hessian_of(network, sample) as hessian:
        found = hessian_trace(hessian, products=30, seed=seed)
        parts = hessian.layers
    assert found.products == 30
    assert abs(found.total.value - exact.sum().item()) < 2 * found.total.error
    assert found.total.error < 0.15 * exact.sum().item()
    for name, part in parts.items():
        layer = found.layers[name]
        assert abs(layer.value - exact[part].sum().item()) < 2.5 * layer.error
    assert sum(e.value for e in found.layers.values()) == pytest.approx(found.total.value)


def test_exact_once_the_sketch_spans_everything(network, sample, dense) -> None:
    exact = dense(network, sample).diag()
    with hessian_of(network, sample) as hessian:
        found = hessian_trace(hessian, products=3 * len(hessian))
        parts = hessian.layers
    assert found.total.value == pytest.approx(exact.sum().item(), rel=1e-9)
    assert found.total.error == 0
    for name, part in parts.items():
        assert found.layers[name].value == pytest.approx(exact[part].sum().item(), rel=1e-9)


def test_the_standard_error_tells_the_spread(network, sample, dense) -> None:
    with hessian_of(network, sample) as hessian:
        runs = [hessian_trace(hessian, products=12, seed=seed).total for seed in range(20)]
    exact = dense(network, sample).diag().sum().item()
    scores = torch.tensor([(run.value - exact) / run.error for run in runs])
    assert abs(scores.mean().item()) < 0.6
    assert 0.6 < scores.std().item() < 2.0


def test_too_few_products(network, sample) -> None:
    with hessian_of(network, sample) as hessian, pytest.raises(ConfigError, match="at least 6"):
        hessian_trace(hessian, products=5)


def test_layers(network, sample, dense) -> None:
    matrix = dense(network, sample)
    told: list[tuple[int, int]] = []
    with hessian_of(network, sample) as hessian:
        trace = hessian_trace(hessian)
        parts = hessian.layers
    found = layer_curvature(
        network, sample, trace, tol=1e-6, on_layer=lambda *word: told.append(word)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert [layer.name for layer in found] == list(parts)
    for layer in found:
        block = matrix[parts[layer.name], parts[layer.name]]
        assert layer.eigenvalue == pytest.approx(torch.linalg.eigvalsh(block)[-1].item(), rel=1e-5)
        assert layer.parameters == len(block)
        assert layer.trace == trace.layers[layer.name].value
