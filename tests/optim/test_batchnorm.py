"""The freeze leaves a BatchNorm layer exactly as it was found."""

import pytest
import torch
from torch import nn

from samar.optim.batchnorm import frozen_batchnorm


def _state(layer):
    return [t.clone() for t in layer.state_dict().values()]


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("levels", [1, 2])
def test_nothing_moves_inside_and_everything_resumes_outside(momentum, levels):
    layer, twin = nn.BatchNorm1d(3, momentum=momentum), nn.BatchNorm1d(3, momentum=momentum)
    x = torch.randn(2, 8, 3)
    with frozen_batchnorm(layer):
        before = _state(layer)
        if levels == 2:
            with frozen_batchnorm(layer):
                layer(x[0])
        frozen = layer(x[0])
        assert all(map(torch.equal, before, _state(layer)))
        assert layer.momentum == momentum
    assert torch.equal(frozen, twin(x[0]))  # normalized by the batch all the same
    twin.reset_running_stats()
    layer(x[1])
    twin(x[1])
    assert all(map(torch.equal, _state(layer), _state(twin)))


def test_it_restores_what_it_found_also_after_an_exception():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    model[1].track_running_stats = False
    with pytest.raises(KeyError), frozen_batchnorm(model):
        raise KeyError
    assert [layer.track_running_stats for layer in model[:2]] == [True, False]
