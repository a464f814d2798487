"""The traps between the two passes: what must come back, and what must not move."""

import pytest
import torch
from torch import nn

from samar.optim.catalog import OPTIMIZERS
from samar.optim.factory import build_optimizer
from samar.optim.rules import Fixed
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.vasso import VaSSO
from tests.optim.steps import closure_of

TWO_PASS = [name for name, info in OPTIMIZERS.items() if info.gradients_per_step == 2]
two_pass = pytest.mark.parametrize("name", TWO_PASS)


@two_pass
def test_weights_come_back_when_the_second_pass_raises(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name, second_pass=EveryStep())
    problem.run(optimizer, range(2))
    before = [p.detach().clone() for p in problem.model.parameters()]
    calls = []

    def closure():
        calls.append([p.detach().clone() for p in problem.model.parameters()])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return problem.closure(optimizer, 0)()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert not torch.equal(calls[1][0], before[0])
    for p, b in zip(problem.model.parameters(), before, strict=True):
        assert torch.equal(p, b)
    assert problem.model[1].track_running_stats
    problem.run(optimizer, range(2, 4))


@two_pass
def test_a_nan_perturbation_does_not_survive(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name)
    before = [p.detach().clone() for p in problem.model.parameters()]
    problem.closure(optimizer, 0)()
    problem.model[0].bias.grad.fill_(float("nan"))
    optimizer.first_step()
    assert all(bool(p.isnan().all()) for p in problem.model.parameters())
    optimizer.restore()
    for p, b in zip(problem.model.parameters(), before, strict=True):
        assert torch.equal(p, b)


@pytest.mark.parametrize("kind", [SAM, VaSSO, SAMAR])
def test_a_zero_gradient_does_not_become_nan(kind):
    p = nn.Parameter(torch.ones(3))
    optimizer = kind([p], lr=0.1)

    closure = closure_of(optimizer, lambda: (p * 0.0).sum())

    optimizer.step(closure)
    assert torch.equal(p, torch.ones(3))


@pytest.mark.parametrize("missing_in", [1, 2])
def test_a_gradient_that_one_pass_lacks_counts_as_zero(missing_in):
    a, b = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(3.0))
    optimizer = SAMAR([a, b], lr=1.0, rho=0.1, lam=0.25, rule=Fixed())
    seen = []

    def closure():
        seen.append((float(a.detach()), float(b.detach())))
        optimizer.zero_grad()
        loss = 5.0 * a
        if len(seen) != missing_in:
            loss = loss + 2.0 * b
        loss.backward()
        return loss

    optimizer.step(closure)
    gradient_of_b = 0.25 * 2.0 if missing_in == 1 else 0.75 * 2.0
    assert (seen[1][1] == 3.0) == (missing_in == 1)
    assert float(a.detach()) == pytest.approx(2.0 - 5.0)
    assert float(b.detach()) == pytest.approx(3.0 - gradient_of_b)


@two_pass
def test_batchnorm_statistics_move_once_per_step(name, make_problem):
    ours, plain = make_problem(torch.float64), make_problem(torch.float64)
    optimizer = ours.optimizer(name)
    for k in range(4):
        plain.model.load_state_dict(ours.model.state_dict())
        ours.run(optimizer, range(k, k + 1))
        plain.model(plain.x[k % 3])
        for statistic in ("running_mean", "running_var", "num_batches_tracked"):
            expected = getattr(plain.model[1], statistic)
            assert torch.equal(getattr(ours.model[1], statistic), expected)


@two_pass
def test_both_passes_draw_the_same_dropout_masks(name, make_problem):
    problem = make_problem(dropout=0.5)
    optimizer = problem.optimizer(name, second_pass=EveryStep())
    masks, after = [], []
    problem.model[3].register_forward_hook(lambda module, x, out: masks.append(out == 0))
    problem.model[2] = nn.Softplus()  # so that only dropout makes zeros

    def closure():
        loss = problem.closure(optimizer, 0)()
        after.append(torch.get_rng_state())
        torch.rand(len(after))  # the second pass draws more than the first
        return loss

    optimizer.step(closure)
    optimizer.step(closure)
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[2], masks[3])
    assert not torch.equal(masks[1], masks[2])


@two_pass
def test_autocast_inside_the_closure_sees_the_perturbation(name, make_problem):
    """The usual place: the weights stay float32, and their casts do not outlive a pass."""
    problem = make_problem()
    optimizer = problem.optimizer(name, second_pass=EveryStep())
    outputs = []
    problem.model[0].register_forward_hook(lambda module, x, out: outputs.append(out.detach()))

    def closure():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = nn.functional.cross_entropy(problem.model(problem.x[0]), problem.y[0])
        loss.backward()
        return loss

    before = problem.tensors()[0]
    optimizer.step(closure)
    assert [out.dtype for out in outputs] == [torch.bfloat16] * 2
    assert not torch.equal(*outputs)
    assert optimizer.sharpness.dtype == torch.float32
    assert problem.tensors()[0].dtype == torch.float32
    assert not torch.equal(problem.tensors()[0], before)


@two_pass
@pytest.mark.parametrize("whole", [False, True])
def test_a_compiled_model_takes_the_same_steps(name, whole, make_problem, assert_same):
    """Frozen statistics are another graph, which the compiler must notice; no C++ needed here."""
    eager, compiled = make_problem(dropout=0.5), make_problem(dropout=0.5)
    torch.manual_seed(6)
    eager.run(eager.optimizer(name), range(6))
    inner = compiled.model
    compiled.model = torch.compile(inner, backend="eager")
    torch.manual_seed(6)
    handed = compiled.model if whole else inner
    optimizer = build_optimizer(name, handed, lr=0.05, momentum=0.9, weight_decay=1e-3, rho=0.1)
    compiled.run(optimizer, range(6))
    compiled.model = inner
    assert_same(eager, compiled)
    assert int(inner[1].num_batches_tracked) == 6


@two_pass
def test_a_grad_scaler_is_refused(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name)
    before = problem.tensors()
    scaler = torch.amp.GradScaler("cpu", enabled=True)

    closure = closure_of(
        optimizer,
        lambda: scaler.scale(
            nn.functional.cross_entropy(problem.model(problem.x[0]), problem.y[0])
        ),
    )

    scaler.scale(torch.ones(()))
    with pytest.raises(RuntimeError, match=r"cannot run under an fp16 GradScaler.*use bfloat16"):
        scaler.step(optimizer, closure)
    assert all(torch.equal(a, b) for a, b in zip(before, problem.tensors(), strict=True))
    problem.run(optimizer, range(1))

    disabled = torch.amp.GradScaler("cpu", enabled=False)
    disabled.step(optimizer, problem.closure(optimizer, 0))


@two_pass
def test_errors_of_use(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name)
    with pytest.raises(RuntimeError, match=r"needs a closure.*first_step\(\) and second_step\(\)"):
        optimizer.step()
    with pytest.raises(RuntimeError, match=r"without first_step\(\); call"):
        optimizer.second_step()
    with pytest.raises(RuntimeError, match=r"no parameter has a gradient.*call loss\.backward"):
        optimizer.first_step()
    with pytest.raises(RuntimeError, match="no parameter has a gradient"):
        optimizer.step(lambda: torch.ones(()))
    with pytest.raises(TypeError, match="must be a 0-dim tensor, got NoneType; return it"):
        optimizer.step(lambda: None)
    with pytest.raises(TypeError, match=r"must be a 0-dim tensor, got shape \(2,\)"):
        optimizer.step(lambda: torch.ones(2))
    problem.closure(optimizer, 0)()
    optimizer.first_step()
    with pytest.raises(RuntimeError, match="twice in a row; call second_step"):
        optimizer.first_step()
    optimizer.restore()
    problem.run(optimizer, range(1))


@pytest.mark.parametrize("kind", [SAM, VaSSO, SAMAR])
def test_every_group_uses_its_own_radius(kind):
    a, b = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([4.0]))
    optimizer = kind([{"params": [a], "rho": 0.5}, {"params": [b]}], lr=0.1, rho=0.1)
    a.grad, b.grad = torch.tensor([2.0, 4.0]), torch.tensor([4.0])
    optimizer.first_step()
    torch.testing.assert_close(a.detach(), torch.tensor([1.0 + 0.5 * 2 / 6, 2.0 + 0.5 * 4 / 6]))
    torch.testing.assert_close(b.detach(), torch.tensor([4.0 + 0.1 * 4 / 6]))
