"""SAM and ASAM against pytorch-optimizer's, an independent implementation."""

import pytest
import pytorch_optimizer
import torch
from pytorch_optimizer.optimizer.utils.model import disable_running_stats, enable_running_stats
from torch import nn

from samar.optim.sam import ASAM, SAM
from tests.optim.steps import EveryNth, closure_of

SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}


@pytest.mark.parametrize(("adaptive", "rho"), [(False, 0.1), (True, 0.5)])
def test_fifty_steps_equal_pytorch_optimizers(adaptive, rho, make_problem):
    ours, theirs = make_problem(torch.float64), make_problem(torch.float64)
    ours.run(ours.optimizer("sam", rho=rho, adaptive=adaptive), range(50))
    oracle = pytorch_optimizer.SAM(
        theirs.model.parameters(), torch.optim.SGD, rho=rho, adaptive=adaptive, **SGD
    )
    start = theirs.tensors()
    for k in range(50):
        closure = theirs.closure(oracle, k)
        enable_running_stats(theirs.model)
        closure()
        disable_running_stats(theirs.model)
        oracle.step(closure)
    pairs = zip(ours.model.named_parameters(), theirs.model.parameters(), strict=True)
    for (_, a), b in pairs:
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    bn, oracle_bn = ours.model[1], theirs.model[1]
    torch.testing.assert_close(bn.running_mean, oracle_bn.running_mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(bn.running_var, oracle_bn.running_var, rtol=0, atol=1e-6)
    assert float((start[0] - theirs.tensors()[0]).abs().max()) > 1e-2


@pytest.mark.parametrize("policy", [None, EveryNth(2)])
def test_asam_is_adaptive_sam_bit_for_bit(policy, make_problem, assert_same):
    one, other = make_problem(), make_problem()
    asam = ASAM(one.model.parameters(), model=one.model, second_pass=policy, **SGD)
    sam = SAM(
        other.model.parameters(),
        model=other.model,
        rho=0.5,
        adaptive=True,
        second_pass=policy,
        **SGD,
    )
    one.run(asam, range(20))
    other.run(sam, range(20))
    assert_same(one, other)


def test_a_group_of_biases_may_stay_out_of_the_scaling():
    """As in the authors' code; the norm is one over all groups."""
    w, b = (nn.Parameter(torch.tensor(v).double()) for v in ([2.0, -3.0], [4.0]))
    groups = [{"params": [w]}, {"params": [b], "adaptive": False, "rho": 0.1}]
    optimizer = ASAM(groups, lr=0.1, rho=0.7)
    w.grad, b.grad = torch.tensor([1.0, 2.0]).double(), torch.tensor([5.0]).double()
    optimizer.first_step()
    norm = (2.0**2 + 6.0**2 + 5.0**2) ** 0.5
    expected = torch.tensor([2.0 + 0.7 * 4.0 / norm, -3.0 + 0.7 * 18.0 / norm]).double()
    torch.testing.assert_close(w.detach(), expected)
    torch.testing.assert_close(b.detach(), torch.tensor([4.0 + 0.1 * 5.0 / norm]).double())


@pytest.mark.parametrize(("kind", "moves"), [(ASAM, False), (SAM, True)])
def test_asams_perturbed_loss_survives_a_rescaling(kind, moves):
    """Layer one times 10, layer two by 10: the same function, and for ASAM the same sharpness."""
    perturbed = []
    for scale in (1.0, 10.0):
        torch.manual_seed(4)
        model = nn.Sequential(
            nn.Linear(4, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False)
        ).double()
        with torch.no_grad():
            model[0].weight.mul_(scale)
            model[2].weight.div_(scale)
        optimizer = kind(model.parameters(), lr=0.1, rho=0.5)
        x = torch.randn(6, 4).double()

        closure = closure_of(optimizer, lambda model=model, x=x: model(x).square().mean())

        optimizer.step(closure)
        perturbed.append((float(optimizer.loss), float(optimizer.perturbed_loss)))
    assert perturbed[0][0] == pytest.approx(perturbed[1][0], rel=1e-12)
    assert (perturbed[0][1] != pytest.approx(perturbed[1][1], rel=1e-6)) == moves
