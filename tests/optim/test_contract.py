"""What every registered optimizer promises, whatever it does with its two gradients."""

import io
import pickle
import warnings
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import StepLR

from samar.optim.catalog import OPTIMIZERS
from samar.optim.rules import Fixed, Share, Trend, TrendPower
from samar.optim.sam import ASAM, SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep, Late, Threshold
from samar.optim.vasso import VaSSO
from tests.optim.steps import NEVER, closure_of

TWO_PASS = [name for name, info in OPTIMIZERS.items() if info.gradients_per_step == 2]
CLASSES = [SAM, ASAM, VaSSO, SAMAR]
every = pytest.mark.parametrize("name", OPTIMIZERS)
two_pass = pytest.mark.parametrize("name", TWO_PASS)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {"rho": 0.0}) for name in TWO_PASS),
        ("samar", {"rho": 0.0, "lam": 0.3}),
        ("samar", {"rho": 0.5, "lam": 0.0, "lam_min": 0.0, "rule": Fixed()}),
    ],
)
def test_without_regularization_it_is_the_base_optimizer(name, options, make_problem, assert_same):
    ours, plain = make_problem(dropout=0.3), make_problem(dropout=0.3)
    torch.manual_seed(5)
    ours.run(ours.optimizer(name, **options), range(10))
    torch.manual_seed(5)
    plain.run(plain.optimizer("sgd"), range(10))
    assert_same(ours, plain)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("samar", {"lam": 1.0, "rule": Fixed(), "second_pass": EveryStep()}),
        ("vasso", {"theta": 1.0}),
    ],
)
def test_the_special_case_that_is_sam(name, options, adaptive, make_problem, assert_same):
    ours, sam = make_problem(), make_problem()
    ours.run(ours.optimizer(name, adaptive=adaptive, **options), range(10))
    sam.run(sam.optimizer("sam", adaptive=adaptive), range(10))
    assert_same(ours, sam)


@two_pass
def test_it_differs_from_the_base_optimizer(name, make_problem):
    ours, plain = make_problem(), make_problem()
    ours.run(ours.optimizer(name), range(3))
    plain.run(plain.optimizer("sgd"), range(3))
    assert not torch.equal(ours.tensors()[0], plain.tensors()[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in OPTIMIZERS),
        ("vasso", {"theta": 0.5}),
        ("samar", {"rule": Trend(tau=0.0, memory=5.0), "beta": 0.5, "sharpness": "first_order"}),
    ],
)
def test_resuming_from_a_file_is_exact(name, options, make_problem, assert_same):
    straight, first, second = make_problem(), make_problem(), make_problem()
    optimizer = straight.optimizer(name, **options)
    straight.run(optimizer, range(8))

    interrupted = first.optimizer(name, **options)
    first.run(interrupted, range(5))
    file = io.BytesIO()
    torch.save((first.model.state_dict(), interrupted.state_dict()), file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    second.model.load_state_dict(weights)
    resumed = second.optimizer(name)
    resumed.load_state_dict(state)
    resumed.load_state_dict(state)
    if "sharpness" in options:
        resumed.sharpness_form = options["sharpness"]
    second.run(resumed, range(5, 8))

    assert_same(straight, second)
    for attribute in ("lam", "lam_used", "ratio"):
        if name == "samar":
            assert torch.equal(getattr(optimizer, attribute), getattr(resumed, attribute))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, {"rho": 0.1, "lr": 0.1}) for kind in CLASSES),
        (VaSSO, {"theta": 0.5}),
        (SAMAR, {"beta": 0.5, "lam": 0.5, "lam_min": 0.25, "lam_max": 4.0}),
        (SAMAR, {"rule": lambda number: TrendPower(gain=number(0.5), memory=number(4.0))}),
        (SAM, {"second_pass": lambda number: Late(begin=number(0.5))}),
        (SAM, {"base": torch.optim.AdamW, "betas": (np.float64(0.5), np.float64(0.75))}),
    ],
)
@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_a_state_with_numpy_numbers_is_plain(kind, options, number, make_problem):
    problem = make_problem()
    given = {
        name: value(number) if callable(value) and name != "base" else value
        for name, value in options.items()
    }
    given = {n: number(v) if isinstance(v, float) else v for n, v in given.items()}
    optimizer = kind(problem.model.parameters(), **{"lr": 0.1} | given)
    optimizer.param_groups[0]["rho"] = number(0.25)  # as a schedule of one's own sets it
    if kind is SAMAR:
        optimizer.hold(number(0.5))
    problem.run(optimizer, range(2))
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    again = kind(problem.model.parameters(), options.get("base", torch.optim.SGD), lr=0.1)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert again.param_groups[0]["rho"] == 0.25
    assert type(again.param_groups[0]["rho"]) is float
    assert repr(again.state_dict()) == repr(optimizer.state_dict())


@pytest.mark.parametrize("kind", CLASSES)
def test_resuming_with_an_adam_base_is_exact(kind, make_problem, assert_same):
    straight, first, second = make_problem(), make_problem(), make_problem()

    def build(problem):
        return kind(problem.model.parameters(), torch.optim.AdamW, lr=1e-2, model=problem.model)

    straight.run(build(straight), range(6))
    interrupted = build(first)
    first.run(interrupted, range(3))
    second.model.load_state_dict(first.model.state_dict())
    resumed = build(second)
    resumed.load_state_dict(interrupted.state_dict())
    first.run(interrupted, range(3, 6))  # must not reach into what was loaded
    second.run(resumed, range(3, 6))
    assert_same(straight, second)


@pytest.mark.parametrize("copy", [deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@two_pass
def test_a_copy_goes_on_like_the_original(name, copy, make_problem, assert_same):
    original, other = make_problem(), make_problem()
    optimizer = original.optimizer(name)
    StepLR(optimizer, 1)  # patches optimizer.step with something bound to the original
    original.run(optimizer, range(2))
    other.model, twin = copy((original.model, optimizer))
    assert twin.param_groups is twin.base.param_groups
    other.run(twin, range(2, 5))
    original.run(optimizer, range(2, 5))
    assert_same(original, other)


def test_another_optimizers_state_is_refused(make_problem):
    problem = make_problem()
    state = problem.optimizer("sam").state_dict()
    with pytest.raises(ValueError, match="saved by SAM, not by SAMAR; build"):
        problem.optimizer("samar").load_state_dict(state)
    with pytest.raises(ValueError, match="saved by another optimizer, not by SAM"):
        problem.optimizer("sam").load_state_dict(problem.optimizer("sgd").state_dict())


@every
def test_schedulers_work_without_a_warning(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name, lr=0.5)
    schedulers = [StepLR(optimizer, 1, gamma=0.5)]
    if name in TWO_PASS:
        schedulers.append(StepLR(optimizer.base, 1, gamma=0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem.run(optimizer, range(1))
        for scheduler in schedulers:
            scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 0.5 * 0.5 ** len(schedulers)


@two_pass
def test_a_scheduler_sees_the_steps_of_a_manual_loop(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name)
    scheduler = StepLR(optimizer, 1)
    closure = problem.closure(optimizer, 0)
    loss = closure()
    optimizer.first_step()
    optimizer.second_step(loss, closure())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


@two_pass
def test_groups_stay_shared_with_the_base_optimizer(name, make_problem):
    optimizer = make_problem().optimizer(name)
    optimizer.load_state_dict(optimizer.state_dict())
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "rho": 0.7})
    optimizer.base.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))]})
    assert optimizer.param_groups is optimizer.base.param_groups
    assert [group["rho"] for group in optimizer.param_groups] == [0.1, 0.7, 0.1]
    assert all(group["momentum"] == 0.9 for group in optimizer.param_groups)


@two_pass
def test_the_clean_loss_comes_back_detached(name, make_problem):
    problem = make_problem()
    optimizer = problem.optimizer(name)
    expected = problem.closure(optimizer, 0)().detach()
    loss = optimizer.step(problem.closure(optimizer, 0))
    assert torch.equal(loss, expected)
    assert not loss.requires_grad
    assert loss is optimizer.loss


@pytest.mark.parametrize("adaptive", [False, True])
@two_pass
def test_the_second_pass_runs_at_distance_rho(name, adaptive, make_problem):
    problem = make_problem(torch.float64)
    optimizer = problem.optimizer(name, rho=0.3, adaptive=adaptive)
    before = [p.detach().clone() for p in problem.model.parameters()]
    problem.closure(optimizer, 0)()
    grads = [p.grad.clone() for p in problem.model.parameters()]
    optimizer.first_step()
    move = [p.detach() - b for p, b in zip(problem.model.parameters(), before, strict=True)]
    # ‖T⁻¹ε‖ = ρ, where a weight of exactly 0 has not moved.
    scale = [b.abs() if adaptive else torch.ones_like(b) for b in before]
    relative = torch.cat([(m / s)[s > 0].flatten() for m, s in zip(move, scale, strict=True)])
    assert float(relative.norm()) == pytest.approx(0.3)
    assert all(bool((m[s == 0] == 0).all()) for m, s in zip(move, scale, strict=True))
    norm = torch.cat([g.flatten() for g in grads]).norm()
    assert float(optimizer.grad_norm) == pytest.approx(float(norm))
    optimizer.restore()
    for p, b in zip(problem.model.parameters(), before, strict=True):
        assert torch.equal(p, b)


@two_pass
def test_measurements(name, make_problem):
    problem = make_problem(torch.float64)
    optimizer = problem.optimizer(name)
    losses = []

    def closure():
        loss = problem.closure(optimizer, 0)()
        losses.append(loss.item())
        return loss

    optimizer.step(closure)
    assert optimizer.loss.item() == losses[0]
    assert optimizer.perturbed_loss.item() == losses[1]
    assert optimizer.sharpness.item() == losses[1] - losses[0] > 0


@two_pass
def test_a_manual_loop_equals_step(name, make_problem, assert_same):
    ours, manual = make_problem(), make_problem()
    ours.model[1].track_running_stats = manual.model[1].track_running_stats = False
    ours.run(ours.optimizer(name), range(4))
    optimizer = manual.optimizer(name)
    for k in range(4):
        closure = manual.closure(optimizer, k)
        loss = closure()
        if optimizer.wants_second_pass():
            optimizer.first_step()
            optimizer.second_step(loss, closure())
        else:
            optimizer.plain_step(loss)
    assert_same(ours, manual)


@two_pass
def test_frozen_and_unused_parameters_stay_untouched(name, make_problem):
    problem = make_problem()
    frozen = problem.model[0].weight.requires_grad_(False)
    optimizer = problem.optimizer(name)
    unused = torch.nn.Parameter(torch.ones(3))
    optimizer.add_param_group({"params": [unused]})
    before = frozen.clone()
    seen = []

    def closure():
        seen.append((frozen.clone(), unused.detach().clone()))
        return problem.closure(optimizer, 0)()

    optimizer.step(closure)
    assert all(torch.equal(a, before) and torch.equal(b, torch.ones(3)) for a, b in seen)
    assert torch.equal(frozen, before)
    assert torch.equal(unused, torch.ones(3))


@two_pass
def test_bfloat16_parameters(name, make_problem):
    problem = make_problem(torch.bfloat16)
    optimizer = problem.optimizer(name)
    problem.run(optimizer, range(3))
    assert all(p.dtype == torch.bfloat16 for p in problem.model.parameters())
    assert all(bool(t.isfinite().all()) for t in problem.tensors())
    assert optimizer.sharpness.dtype == optimizer.grad_norm.dtype == torch.float32


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rho": -0.1}, ValueError, "rho must be finite and at least 0, got -0.1; choose"),
        ({"rho": float("nan")}, ValueError, "rho must be finite"),
        ({"rho": "big"}, TypeError, "rho must be a number, got 'big'; pass"),
        ({"maximize": True}, ValueError, "maximize=True is not supported; minimize"),
        ({"differentiable": True}, ValueError, "differentiable=True is not supported; leave it"),
        ({"base": "sgd"}, TypeError, "base must be a torch optimizer class, got 'sgd'; pass"),
    ],
)
def test_constructor_errors(kind, options, error, message):
    with pytest.raises(error, match=message):
        kind([torch.nn.Parameter(torch.ones(1))], **{"lr": 0.1, **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"lam": 50.0}, ValueError, r"lam must lie within .* = \[0.1, 20\], got 50; move it"),
        ({"lam_min": 2.0, "lam_max": 1.0}, ValueError, "must not exceed lam_max, got 2 > 1; swap"),
        ({"beta": 1.0}, ValueError, "beta must be below 1, got 1.0"),
        ({"sharpness": "third"}, ValueError, "'exact' or 'first_order', got 'third'"),
        ({"rule": "dead_band"}, TypeError, "must be a LambdaRule, got 'dead_band'; build one with"),
    ],
)
def test_constructor_errors_of_samar(options, error, message):
    test_constructor_errors(SAMAR, options, error, message)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_first_group_may_be_empty(kind, make_problem, assert_same):
    ours, usual = make_problem(torch.float64), make_problem(torch.float64)
    for problem, empty in ((ours, [{"params": []}]), (usual, [])):
        groups = [*empty, {"params": problem.model.parameters()}]
        optimizer = kind(groups, lr=0.1, model=problem.model)
        problem.run(optimizer, range(3))
        assert optimizer.loss.dtype == torch.float64
    assert_same(ours, usual)
    with pytest.raises(ValueError, match="no group has a parameter; give at least"):
        kind([{"params": []}], lr=0.1)


@pytest.mark.parametrize("kind", CLASSES)
def test_complex_parameters_are_refused(kind):
    real, complex_ = torch.nn.Parameter(torch.ones(1)), torch.nn.Parameter(torch.ones(1) * 1j)
    with pytest.raises(ValueError, match="complex parameters are not supported; make"):
        kind([real, complex_], lr=0.1)
    optimizer = kind([{"params": iter([real])}], lr=0.1)
    with pytest.raises(ValueError, match="complex parameters"):
        optimizer.add_param_group({"params": complex_})
    assert [group["params"] for group in optimizer.base.param_groups] == [[real]]


@pytest.mark.parametrize("policy", [EveryStep(), NEVER, Threshold()])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_sparse_gradient_is_refused_before_the_weights_move(kind, policy):
    table = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = kind(table.parameters(), lr=0.1, second_pass=policy)
    before = table.weight.detach().clone()

    closure = closure_of(optimizer, lambda: table(torch.tensor([0, 2])).square().sum())

    for _ in range(2):  # the step that was refused is not in the way of the next
        with pytest.raises(RuntimeError, match=r"a gradient is sparse.*; build .* sparse=False"):
            optimizer.step(closure)
    assert torch.equal(table.weight, before)


@pytest.mark.parametrize("options", [{}, {"rule": Share()}, {"sharpness": "first_order"}])
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize(("weights", "loss"), [("float32", "float64"), ("float64", "float32")])
def test_a_loss_of_another_format_than_the_weights(kind, weights, loss, options):
    if options and kind is not SAMAR:
        return
    x = torch.nn.Parameter(torch.tensor([2.0, -1.0], dtype=getattr(torch, weights)))
    optimizer = kind([x], lr=0.05, rho=0.1, second_pass=EveryStep(), **options)

    closure = closure_of(optimizer, lambda: (1 + x.square().sum()).to(getattr(torch, loss)))

    for _ in range(3):
        optimizer.step(closure)
    assert optimizer.loss.dtype == getattr(torch, loss)
    assert 0.5 < float(optimizer.loss) < 6.0
    assert x.dtype == getattr(torch, weights)
    if kind is SAMAR:
        assert optimizer.lam.dtype == x.dtype
        assert 0 < float(optimizer.ratio) < 1


@pytest.mark.cuda
@two_pass
def test_cuda_agrees_with_the_cpu_and_never_waits(name, make_problem, gpu, never_waiting):
    cpu, there = make_problem(torch.float64), make_problem(torch.float64)
    there.model, there.x, there.y = there.model.to(gpu), there.x.to(gpu), there.y.to(gpu)
    cpu.run(cpu.optimizer(name), range(6))
    optimizer = there.optimizer(name)
    there.run(optimizer, range(3))
    with never_waiting():
        there.run(optimizer, range(3, 6))
    for a, b in zip(cpu.tensors(), there.tensors(), strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-8, atol=1e-10)
