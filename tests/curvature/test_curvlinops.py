"""The curvature matrices of a ResNet against the package curvlinops, in float64."""

import warnings
from typing import Any

import pytest
import torch
from torch import nn

from samar.curvature.matrices import MATRICES
from samar.curvature.product import operator_of
from samar.data.sample import Sample
from samar.models.build import build_model

THEIRS = {
    "hessian": "HessianLinearOperator",
    "gauss_newton": "GGNLinearOperator",
    "empirical_fisher": "EFLinearOperator",
}


@pytest.fixture(scope="module")
def curvlinops() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        import curvlinops
    return curvlinops


@pytest.fixture(scope="module")
def resnet() -> tuple[nn.Module, Sample]:
    torch.manual_seed(0)
    net = build_model("resnet20").double()
    sample = Sample(torch.randn(12, 3, 8, 8, dtype=torch.float64), torch.randint(10, (12,)))
    with torch.no_grad():
        net(sample.x)  # running statistics of its own
    return net.eval(), sample


@pytest.mark.filterwarnings("ignore:`torch.jit")  # its own, through torch.func
@pytest.mark.parametrize("name", THEIRS)
def test_equals_curvlinops_on_a_resnet(curvlinops, resnet, name) -> None:
    net, sample = resnet
    data = [(sample.x[:8], sample.y[:8]), (sample.x[8:], sample.y[8:])]
    theirs = getattr(curvlinops, THEIRS[name])(
        net, nn.CrossEntropyLoss(), list(net.parameters()), data, check_deterministic=False
    )
    with operator_of(MATRICES[name], net, sample, batch_size=5) as ours:
        v = torch.randn(len(ours), dtype=torch.float64)
        torch.testing.assert_close(ours @ v, theirs @ v, rtol=1e-9, atol=1e-9)
