"""What a step costs besides the two gradients: dispatched operations and memory."""

import pytest
import torch
import torchvision

from samar.optim.rules import DeadBand
from samar.optim.sam import SAM
from samar.optim.samar import SAMAR
from samar.optim.vasso import VaSSO

PLAIN = {"rule": DeadBand(), "beta": 0.0}

CASES = [
    (SAM, {}, 6, 2),
    (VaSSO, {}, 9, 2),
    (SAMAR, PLAIN, 8, 10),
    (SAMAR, PLAIN | {"sharpness": "first_order"}, 8, 10),
    (SAMAR, {}, 8, 25),  # averages and a power, all on 0-dim tensors
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
    for _ in range(2):  # the first step also creates buffers and tables
        _fill(params)
        with op_recorder() as one:
            optimizer.first_step()
        _fill(params)
        with op_recorder() as two:
            optimizer.second_step(loss, perturbed_loss)
    assert len(one.ops) == first <= 10
    assert len(two.ops) == second <= 25
    assert not any("_local_scalar_dense" in op or "item" in op for op in one.ops + two.ops)


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
