"""SAM and ASAM against pytorch-optimizer's, an independent implementation."""

import pytest
import pytorch_optimizer
import torch
from pytorch_optimizer.optimizer.utils.model import disable_running_stats, enable_running_stats


@pytest.mark.parametrize(("adaptive", "rho"), [(False, 0.1), (True, 0.5)])
def test_fifty_steps_equal_pytorch_optimizers(adaptive, rho, make_problem):
    ours, theirs = make_problem(torch.float64), make_problem(torch.float64)
    ours.run(ours.optimizer("sam", rho=rho, adaptive=adaptive), range(50))
    sgd = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    oracle = pytorch_optimizer.SAM(
        theirs.model.parameters(), torch.optim.SGD, rho=rho, adaptive=adaptive, **sgd
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
