import pytest
import torch
from torch import nn

from samar.curvature.catalog import MEASURES
from samar.curvature.product import hessian_of
from samar.curvature.sharpness import gaussian_sharpness, sharpness_measures
from samar.curvature.solvers.eigenvalues import top_eigenvalues
from samar.curvature.solvers.trace import hessian_trace
from samar.data.sample import Sample
from samar.optim.sam import SAM


@pytest.fixture
def relu() -> tuple[nn.Module, Sample]:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    return net, Sample(torch.randn(40, 6, dtype=torch.float64), torch.randint(3, (40,)))


def measured(net: nn.Module, images: Sample, rho: float = 0.05) -> dict[str, float | None]:
    spectrum = top_eigenvalues(net, images, k=5, tol=1e-8)
    with hessian_of(net, images) as hessian:
        trace = hessian_trace(hessian, products=300)
        rows = sharpness_measures(hessian, spectrum, trace, rho=rho, tol=1e-8)
    assert [row.name for row in rows] == list(MEASURES)
    return {row.name: row.value for row in rows}


def test_rescaling_a_relu_network_moves_what_it_should(relu) -> None:
    net, images = relu
    before = measured(net, images)
    with torch.no_grad():
        logits = net(images.x)
        net[0].weight.mul_(4)
        net[0].bias.mul_(4)
        net[2].weight.div_(4)
        torch.testing.assert_close(net(images.x), logits)
    after = measured(net, images)
    for name, info in MEASURES.items():
        if info.invariant:
            assert after[name] == pytest.approx(before[name], rel=1e-6)
        else:
            assert after[name] != pytest.approx(before[name], rel=0.05)


@pytest.mark.parametrize("adaptive", [False, True])
def test_ascent_is_the_sharpness_that_the_optimizer_sees(relu, adaptive) -> None:
    net, images = relu
    found = measured(net, images)["asam_ascent" if adaptive else "sam_ascent"]
    optimizer = SAM(net.parameters(), lr=0.0, rho=0.05, adaptive=adaptive)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images.x), images.y)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert found == pytest.approx(optimizer.sharpness.item(), rel=1e-9)


def test_average_case_is_the_trace_at_small_radius(relu) -> None:
    net, images = relu
    with hessian_of(net, images) as hessian:
        found = gaussian_sharpness(hessian, rho=1e-2)
        trace = hessian_trace(hessian, products=300).total.value
        expected = 1e-4 / (2 * len(hessian)) * trace
    assert abs(found.value - expected) < 3 * found.error + 1e-3 * expected
    assert found.error < 0.5 * expected


def test_what_was_not_measured_is_left_out(relu) -> None:
    net, images = relu
    spectrum = top_eigenvalues(net, images, k=2)
    with hessian_of(net, images) as hessian:
        rows = {
            m.name: m.value for m in sharpness_measures(hessian, spectrum, None, rho=0.05, tol=1e-3)
        }
    assert rows["trace"] is None
    assert rows["lambda_ratio"] is None
    assert rows["lambda_max"] == spectrum.values[0]
