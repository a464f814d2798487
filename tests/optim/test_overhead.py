"""What a step costs besides the two gradients: dispatched operations and memory."""

import pytest
import torch
import torchvision

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
