"""What a step costs besides the two gradients: dispatched operations and memory."""

import pytest
import pytorch_optimizer
import torch
import torchvision
from torch.optim import SGD

from samar.models.build import build_model
from samar.optim.rules import DeadBand, Share
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.second_pass import EveryStep
from samar.optim.vasso import VaSSO

EVERY = {"second_pass": EveryStep()}
PLAIN = {"rule": DeadBand(), "beta": 0.0} | EVERY

CASES = [
    (SAM, {}, 6, 2),
    (VaSSO, {}, 9, 2),
    (SAMAR, EVERY, 8, 14),
    (SAMAR, PLAIN, 8, 14),
    (SAMAR, PLAIN | {"sharpness": "first_order"}, 8, 14),
    (SAMAR, {"rule": Share()} | EVERY, 8, 17),
]


def _fill(params):
    for p in params:
        p.grad = torch.full_like(p, 0.01)


@pytest.mark.parametrize(("kind", "options", "first", "second"), CASES)
def test_few_operations_whatever_the_number_of_tensors(kind, options, first, second, op_recorder):
    with torch.device("meta"):
        shapes = [p.shape for p in torchvision.models.resnet18(num_classes=10).parameters()]
    params = [torch.nn.Parameter(torch.zeros(shape[:1])) for shape in shapes]
    assert len(params) == 62
    optimizer = kind(params, lr=0.1, **options)
    optimizer.base.step = lambda: None
    loss, perturbed_loss = torch.tensor(1.0), torch.tensor(1.5)
    for _ in range(3):  # the first step creates buffers, the second, with a ratio, tables
        _fill(params)
        with op_recorder() as one:
            optimizer.first_step()
        _fill(params)
        with op_recorder() as two:
            optimizer.second_step(loss, perturbed_loss)
    assert len(one.ops) == first <= 10
    assert len(two.ops) == second <= 17
    assert not any("_local_scalar_dense" in op or "item" in op for op in one.ops + two.ops)


def test_the_move_of_lambda_is_ten_operations_and_a_step_without_second_gradient_four(op_recorder):
    params = [torch.nn.Parameter(torch.zeros(3)) for _ in range(62)]
    optimizer = SAMAR(params, lr=0.1, lam=0.5)
    optimizer.base.step = lambda: None
    loss, perturbed_loss = torch.tensor(1.0), torch.tensor(1.5)
    passes = {}
    for _ in range(12):
        _fill(params)
        if optimizer.wants_second_pass():
            optimizer.first_step()
            _fill(params)
            with op_recorder() as recorder:
                optimizer.second_step(loss, perturbed_loss)
            passes["two"] = recorder.ops
        else:
            with op_recorder() as recorder:
                optimizer.plain_step(loss)
            passes["one"] = recorder.ops
    restore, subtract, *move, scale, add = passes["two"]
    assert "copy" in restore
    assert "sub" in subtract
    assert "foreach_mul" in scale
    assert "foreach_add" in add
    # On a CPU λ is then read for the next decision, which waits for nothing.
    assert move.pop() == "aten._local_scalar_dense.default"
    assert len(move) == 10
    assert len(passes["one"]) <= 4
    assert not any("_local_scalar_dense" in op for op in passes["one"])


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("foreach", [None, True])
def test_less_than_half_of_pytorch_optimizers_operations(foreach, adaptive, op_recorder):
    """For the same numbers: a whole step of ResNet-18's 62 tensors, its base step included."""
    sgd = {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "foreach": foreach}
    shapes = [p.shape for p in build_model("resnet18").parameters()]
    assert len(shapes) == 62
    torch.manual_seed(1)
    # As many tensors; of each at most 4,000 numbers, which is quicker and dispatches the same.
    start = [torch.randn(shape, dtype=torch.float64).flatten()[:4000] for shape in shapes]
    ours, theirs = ([torch.nn.Parameter(w.clone()) for w in start] for _ in range(2))
    entrants = [
        (ours, SAM(ours, rho=0.3, adaptive=adaptive, **sgd)),
        (theirs, pytorch_optimizer.SAM(theirs, SGD, rho=0.3, adaptive=adaptive, **sgd)),
    ]
    for step in range(3):
        gradients = [[torch.randn_like(w) for w in start] for _ in range(2)]
        counts = []
        for params, optimizer in entrants:
            counts.append(0)
            parts = optimizer.first_step, optimizer.second_step
            for part, gradient in zip(parts, gradients, strict=True):
                for p, g in zip(params, gradient, strict=True):
                    p.grad = g
                with op_recorder() as recorder:
                    part()
                counts[-1] += len(recorder.ops)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
        if step:  # the first makes the buffers
            assert 2 * counts[0] < counts[1]


@pytest.mark.parametrize(("kind", "buffers"), [(SAM, 1), (VaSSO, 2), (SAMAR, 2)])
def test_extra_buffers_of_parameter_size(kind, buffers, op_recorder):
    size = 1000
    params = [torch.nn.Parameter(torch.zeros(size)) for _ in range(3)]
    optimizer = kind(params, lr=0.1)
    losses = torch.tensor(1.0), torch.tensor(1.5)

    def large(tensors):
        return len({t.data_ptr() for t in tensors if t.numel() == size})

    for step in range(2):
        _fill(params)
        with op_recorder() as recorder:
            optimizer.first_step()
            held = large(_reachable(vars(optimizer))) - len(params)
            assert held == buffers * len(params)
            assert all(p.grad is None for p in params)
        if step:
            assert large(recorder.fresh) == 0  # no temporary either
        _fill(params)
        with op_recorder() as recorder:
            optimizer.second_step(*losses)
        assert large(recorder.fresh) == 0


def _reachable(value, seen=None):
    """Every tensor inside nested containers and objects, keys included."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in (*value.keys(), *value.values()):
            yield from _reachable(item, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _reachable(item, seen)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from _reachable(vars(value), seen)
