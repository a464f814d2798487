"""Replaying random numbers."""

import pytest
import torch

from samar.device.randomness import random_state, replayed_rng


def test_the_block_repeats_and_the_stream_goes_on():
    state = random_state(torch.device("cpu"))
    first = torch.rand(3)
    with replayed_rng(state):
        assert torch.equal(torch.rand(3), first)
        torch.rand(7)
    after = torch.rand(3)
    with pytest.raises(KeyError), replayed_rng(state):
        raise KeyError
    with replayed_rng(state):
        torch.rand(3)
        assert torch.equal(torch.rand(3), after)


@pytest.mark.cuda
def test_a_cuda_stream_is_replayed_too(gpu):
    device = gpu
    state = random_state(device)
    first = torch.rand(3, device=device)
    with replayed_rng(state):
        assert torch.equal(torch.rand(3, device=device), first)
    assert not torch.equal(torch.rand(3, device=device), first)
